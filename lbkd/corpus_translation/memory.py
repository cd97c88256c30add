"""A translation memory: every distinct text is translated once, even if the process is killed in between.

<folder>/<source>-<target>.<fingerprint>.jsonl   line 1: the backend's settings; each further line: one batch,
                                                 a list of [text, translation], and its checksum

A batch is stored as a whole or not at all, and a resumed run forms the batches of an uninterrupted run: the
translations of some backends depend on the other texts of the batch. A damaged line is left
out, and its texts are translated anew. Lines of earlier versions are the lists alone, without checksums.

A text without a translation (an empty one) is halved, and its translation joined from those of the halves,
which may be halved again. Each command tries such a text once more, after all new texts.
"""

import fcntl
import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from lbkd.errors import ConfigError, naming_full_disk
from lbkd.progress import Progress
from lbkd.recovery.sentences import halves
from lbkd.registry.secrets import secret_values
from lbkd.scripts import has_spaces
from lbkd.translation import Translator, registry, translations
from lbkd.workspace import differences, fingerprint


@dataclass(frozen=True)
class Backend:
    """A translator under its registered name."""

    name: str
    translator: Translator
    code: Mapping[str, str] = field(default_factory=dict)
    """Package with version, and hash of the source, of a translator of another package or of a script.

    The translators that ship are left out: with each release all translations would have to be made anew.
    """
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Values of the options that are secrets; no file may hold them."""

    def check(self, source: str, target: str) -> None:
        """Prepare for a pair of languages.

        Raises:
            ConfigError: the translator cannot translate it.
            PluginError: the translator raised another exception.
        """
        with registry.told(self.translator, "`check`"):
            self.translator.check(source, target)

    def translated(self, batches: Sequence[Sequence[str]], source: str, target: str) -> Iterator[list[str]]:
        """The translations of each batch, in order, as soon as they are there.

        Raises:
            PluginError: see `translations`.
        """
        for batch in batches:
            yield translations(self.translator, batch, source, target)


def create_backend(name: str, options: Mapping[str, Any]) -> Backend:
    """The translator registered as `name`; raises ConfigError as `Registry.create` does."""
    code = {}
    if registry.origin(name) != "lbkd":
        made = registry.provenance(name, options)
        code = {"package": str(made["package"]), "source": str(made["source"])}
    secrets = secret_values(options, f"translation.{name}").values()
    return Backend(name, registry.create(name, options), code, frozenset(filter(None, secrets)))


class TranslationMemory:
    """The translations of one backend from one language to another.

    Args:
        folder: where the files of all memories lie.
        backend: the translator; its settings are part of the file's name.
        source: ISO code of the language to translate from.
        target: ISO code of the language to translate to.
        progress: called after every batch with the number of texts translated, and texts per second.

    Raises:
        ConfigError: the translator's fingerprint holds a secret.
    """

    def __init__(self, folder: Path, backend: Backend, source: str, target: str, progress: Progress) -> None:
        self.target = target
        self.sentences = backend.translator.sentences
        """Whether passages are translated sentence by sentence."""
        self.markers = backend.translator.markers
        """Whether markers may come through a translation."""
        self.settings = _settings(backend, source, target)
        self.source = source
        self._backend = backend
        self._progress = progress
        self._known: dict[str, str] = {}
        self._left: set[str] = set()
        """Texts that earlier commands could not translate, and that this one has not tried yet."""
        self._tried: set[str] = set()
        """Texts that this command could not translate."""
        self.known = 0
        """Number of translations in the file when the memory was opened."""
        self.added = 0
        """Number of texts translated since then."""
        self.damaged = 0
        """Number of lines of the file that were left out, since they are not as they were written."""
        self._folder = folder
        self.path = folder / f"{source}-{target}.{fingerprint(self.settings)}.jsonl"

    def __getitem__(self, text: str) -> str:
        """The translation of a text given to `fill`; empty if there is none."""
        if found := self._known.get(text, ""):
            return found
        parts = [self[half] for half in self._halves(text)]
        between = " " if has_spaces(self.target) else ""
        return between.join(parts) if all(parts) else ""

    def in_parts(self, text: str) -> bool:
        """Whether the translation of a text is joined from those of its halves."""
        return text not in self._known and bool(self[text])

    def others(self) -> Iterator[tuple[Path, str]]:
        """Memories of these two languages with other settings, and the names of the settings that differ."""
        for path in sorted(self._folder.glob(f"{self.source}-{self.target}.*.jsonl")):
            if path != self.path:
                with path.open("rb") as file:
                    former = _line(file.readline())
                if isinstance(former, dict):
                    yield path, differences(former, self.settings)

    @property
    def lacking(self) -> int:
        """Number of texts given to `fill` that have no translation, halves included."""
        return sum(not self[text] for text in self._tried)

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
            PluginError: the backend returned something else than a text for each text.
        """
        wanted = list(dict.fromkeys(texts))
        missing = [text for text in wanted if text not in self._known and text not in self._tried]
        missing.sort(key=len, reverse=True)
        new = [text for text in missing if text not in self._left]
        again = [text for text in missing if text in self._left]
        done = before = len(wanted) - len(missing)
        start = time.monotonic()
        batches = [*self._batches(new), *self._batches(again)]
        translated = self._backend.translated(batches, self.source, self.target)
        for batch, found in zip(batches, translated, strict=True):
            self._add(batch, self._plain(found))
            done += len(batch)
            speed = (done - before) / (time.monotonic() - start)
            self._progress(name, done, len(wanted), {"strings_per_second": speed})
        if parts := [half for text in wanted if text not in self._known for half in self._halves(text)]:
            self.fill(parts, name)

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        size = self._backend.translator.batch
        return (list(texts[first : first + size]) for first in range(0, len(texts), size))

    def _halves(self, text: str) -> tuple[str, ...]:
        """The parts of a text to translate in its place; none if passages are translated as a whole."""
        return halves(text) or () if self.sentences else ()

    def _plain(self, found: list[str]) -> list[str]:
        """Translations without white space at the ends, and of sentences without line breaks."""
        # A lone surrogate cannot be written as UTF-8.
        plain = [text.encode(errors="replace").decode().strip() for text in found]
        return [" ".join(text.split()) for text in plain] if self.sentences else plain

    def _add(self, texts: list[str], translations: list[str]) -> None:
        pairs = list(zip(texts, translations, strict=True))
        if any(translations) or not self._left.issuperset(texts):
            text = json.dumps(pairs, ensure_ascii=False)
            self._write(f'{{"batch": {text}, "crc32": {_checksum(pairs)}}}')
        self._left.difference_update(texts)
        self._tried.update(text for text, translation in pairs if not translation)
        self.added += self._learn(pairs)

    def _learn(self, pairs: Iterable[tuple[str, str]]) -> int:
        """Keep the translations that are not empty, and return their number."""
        found = {text: translation for text, translation in pairs if translation}
        self._known.update(found)
        return len(found)

    def _write(self, line: str) -> None:
        with naming_full_disk(self.path):
            self._file.write(f"{line}\n".encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self, file: BinaryIO) -> None:
        """Read all complete lines and cut off an incomplete last line, which an interrupted process left."""
        file.seek(0)
        self._file = file
        self.damaged = whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                break
            batch = _batch(line) if whole else []
            whole += len(line)
            if batch is None:
                self.damaged += 1
                continue
            self._learn(batch)
            self._left.update(text for text, _ in batch)
        self._left.difference_update(self._known)
        file.truncate(whole)
        if not whole:
            self._write(json.dumps(self.settings, ensure_ascii=False))


def _settings(backend: Backend, source: str, target: str) -> dict[str, Any]:
    """All that determines a translation beside the text, as a JSON value without secrets."""
    given = backend.translator.fingerprint(source, target)
    if not backend.translator.sentences:
        given = {**given, "line breaks": "kept"}
    text = json.dumps({"backend": backend.name, **backend.code, **given}, default=str, ensure_ascii=False)
    if any(json.dumps(secret, ensure_ascii=False)[1:-1] in text for secret in backend.secrets):
        raise ConfigError(
            f"the fingerprint of the translation backend {backend.name!r} holds the value of a secret, which "
            "would be written into data. Tell its author to leave that option out."
        )
    settings: dict[str, Any] = json.loads(text)
    return settings


def _batch(line: bytes) -> list[tuple[str, str]] | None:
    """The texts and translations of a line; None for a damaged line."""
    value = _line(line)
    pairs = value.get("batch") if isinstance(value, dict) else value
    if not isinstance(pairs, list) or (pairs is not value and value.get("crc32") != _checksum(pairs)):
        return None
    return pairs


def _checksum(pairs: Sequence[Sequence[str]]) -> int:
    return zlib.crc32(json.dumps(pairs).encode())


def _line(line: bytes) -> Any:
    """The JSON value of a line; None for a damaged line."""
    try:
        return json.loads(line)
    except ValueError:
        return None
