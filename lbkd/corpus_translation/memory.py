"""A translation memory: every distinct text is translated once, whatever breaks off in between.

<folder>/<source>-<target>.<fingerprint>.jsonl   first what the translations depend on, then a batch a line:
                                                 its texts and their translations

A batch is there as a whole or not at all, and batches are the same whether or not there was a break: some
backends translate a text otherwise in other company.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lbkd.errors import ConfigError, DataError
from lbkd.translation import Translator
from lbkd.workspace import differences, fingerprint

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Gets how many of how many texts are translated, and numbers of the moment."""


class TranslationMemory:
    """The translations of one backend, with its settings, from one language to another.

    Args:
        folder: where the files of all memories lie.
        name: the backend's registered name.
        translator: the backend.
        source: ISO code of the language to translate from.
        target: and to.
    """

    def __init__(self, folder: Path, name: str, translator: Translator, source: str, target: str) -> None:
        self.target = target
        self.sentences = translator.sentences
        """Whether passages are to be cut into sentences."""
        settings = {"backend": name, **translator.fingerprint(source, target)}
        self.settings: dict[str, Any] = json.loads(json.dumps(settings, default=str))
        self._source = source
        self._translator = translator
        self._known: dict[str, str] = {}
        self.known = 0
        """Texts that were translated before."""
        self.added = 0
        """Texts translated since."""
        self._folder = folder
        self.path = folder / f"{source}-{target}.{fingerprint(self.settings)}.jsonl"

    def __getitem__(self, text: str) -> str:
        return self._known[text]

    def others(self) -> Iterator[tuple[Path, str]]:
        """The files of other settings for these languages, and the names of what differs."""
        for path in sorted(self._folder.glob(f"{self._source}-{self.target}.*.jsonl")):
            if path != self.path:
                with path.open("rb") as file:
                    former = _line(file.readline())
                if isinstance(former, dict):
                    yield path, differences(former, self.settings)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Reads what is there; inside, `fill` adds to it. One process at a time."""
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

    def fill(self, texts: Iterable[str], progress: Progress) -> None:
        """Translate the texts that are not there yet, longest first."""
        wanted = list(dict.fromkeys(texts))
        missing = sorted((text for text in wanted if text not in self._known), key=len, reverse=True)
        done = before = len(wanted) - len(missing)
        start = time.monotonic()
        for first in range(0, len(missing), self._translator.batch):
            batch = missing[first : first + self._translator.batch]
            self._add(batch, self._checked(batch))
            done += len(batch)
            progress(done, len(wanted), {"strings_per_second": (done - before) / (time.monotonic() - start)})

    def _checked(self, batch: list[str]) -> list[str]:
        found = self._translator.translate(batch, self._source, self.target)
        if len(found) != len(batch) or not all(isinstance(text, str) for text in found):
            raise DataError(
                f"the translation backend {self.settings['backend']!r} was given {len(batch)} texts and "
                f"returned {len(found)} values, which must be as many texts. Tell its author."
            )
        # Half a surrogate pair cannot be written, and is no translation either.
        return [" ".join(text.encode(errors="replace").decode().split()) for text in found]

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
        """All whole lines; what a break left of the last one is cut off."""
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
    """The value in a line; None where it is damaged."""
    try:
        return json.loads(line)
    except ValueError:
        return None
