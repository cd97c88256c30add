"""A translation memory: every distinct text is translated once, even if the process is killed in between.

<folder>/<source>-<target>.<fingerprint>.jsonl   line 1: the backend's settings; each further line: one batch,
                                                 a list of [text, translation]

A batch is stored as a whole or not at all, and a resumed run forms the batches of an uninterrupted run: the
translations of some backends depend on the other texts of the batch.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lbkd.errors import ConfigError, DataError
from lbkd.progress import Progress
from lbkd.translation import Translator
from lbkd.workspace import differences, fingerprint


@dataclass(frozen=True)
class Backend:
    """A translator under its registered name."""

    name: str
    translator: Translator


class TranslationMemory:
    """The translations of one backend from one language to another.

    Args:
        folder: where the files of all memories lie.
        backend: the translator; its settings are part of the file's name.
        source: ISO code of the language to translate from.
        target: ISO code of the language to translate to.
        progress: called after every batch with the number of texts translated, and texts per second.
    """

    def __init__(self, folder: Path, backend: Backend, source: str, target: str, progress: Progress) -> None:
        self.target = target
        self.sentences = backend.translator.sentences
        """Whether passages are translated sentence by sentence."""
        settings = {"backend": backend.name, **backend.translator.fingerprint(source, target)}
        if not self.sentences:
            settings["line breaks"] = "kept"
        self.settings: dict[str, Any] = json.loads(json.dumps(settings, default=str))
        self._source = source
        self._translator = backend.translator
        self._progress = progress
        self._known: dict[str, str] = {}
        self.known = 0
        """Number of texts in the file when the memory was opened."""
        self.added = 0
        """Number of texts translated since then."""
        self._folder = folder
        self.path = folder / f"{source}-{target}.{fingerprint(self.settings)}.jsonl"

    def __getitem__(self, text: str) -> str:
        return self._known[text]

    def others(self) -> Iterator[tuple[Path, str]]:
        """Memories of these two languages with other settings, and the names of the settings that differ."""
        for path in sorted(self._folder.glob(f"{self._source}-{self.target}.*.jsonl")):
            if path != self.path:
                with path.open("rb") as file:
                    former = _line(file.readline())
                if isinstance(former, dict):
                    yield path, differences(former, self.settings)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Lock and read the file; `fill` may be called inside the block.

        Raises:
            ConfigError: another process has the file open.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigError(
                    f"{self.path}: another process is adding translations to it; wait until it has ended."
                ) from error
            self._read(file)
            self.known = len(self._known)
            yield

    def fill(self, texts: Iterable[str], name: str) -> None:
        """Translate the texts that the memory lacks, the longest first.

        Args:
            texts: in the source language.
            name: name of the work for progress.

        Raises:
            DataError: the backend returned another number of translations than texts.
        """
        wanted = list(dict.fromkeys(texts))
        missing = sorted((text for text in wanted if text not in self._known), key=len, reverse=True)
        done = before = len(wanted) - len(missing)
        start = time.monotonic()
        for first in range(0, len(missing), self._translator.batch):
            batch = missing[first : first + self._translator.batch]
            self._add(batch, self._checked(batch))
            done += len(batch)
            speed = (done - before) / (time.monotonic() - start)
            self._progress(name, done, len(wanted), {"strings_per_second": speed})

    def _checked(self, batch: list[str]) -> list[str]:
        found = self._translator.translate(batch, self._source, self.target)
        if len(found) != len(batch) or not all(isinstance(text, str) for text in found):
            raise DataError(
                f"the translation backend {self.settings['backend']!r} was given {len(batch)} texts and "
                f"returned {len(found)} values, which must be as many texts. Tell its author."
            )
        # A lone surrogate cannot be written as UTF-8.
        plain = [text.encode(errors="replace").decode().strip() for text in found]
        return [" ".join(text.split()) for text in plain] if self.sentences else plain

    def _add(self, texts: list[str], translations: list[str]) -> None:
        pairs = list(zip(texts, translations, strict=True))
        self._write(json.dumps(pairs, ensure_ascii=False))
        self._known.update(pairs)
        self.added += len(pairs)

    def _write(self, line: str) -> None:
        self._file.write(f"{line}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, file: BinaryIO) -> None:
        """Read all complete lines and cut off an incomplete last line, which an interrupted process left."""
        file.seek(0)
        self._file = file
        whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            batch = _line(line)
            if isinstance(batch, list):
                self._known.update(batch)
        file.truncate(whole)
        if not whole:
            self._write(json.dumps(self.settings, ensure_ascii=False))


def _line(line: bytes) -> Any:
    """The JSON value of a line; None for a damaged line."""
    try:
        return json.loads(line)
    except ValueError:
        return None
