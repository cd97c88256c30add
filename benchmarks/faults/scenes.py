"""What is disturbed: commands in small workspaces, their phases, and what they leave."""

import contextlib
import hashlib
import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.processes import GLANCE, Before, Started, forked, wrong_words
from lbkd.config import BUILTIN_CORPUS
from lbkd.workspace import file_hash

PASSAGES = 2
"""Passages of each split."""
_TIMES = re.compile(r"log\.txt|metrics\.jsonl|tensorboard/|report\.html")
"""Files that hold times, and are not compared."""
_TIMED = {"seconds", "checksum", "time", "date", "hours"}
"""Entries of JSON files that hold times, or checksums over them."""


@dataclass(frozen=True)
class Phase:
    """A part of a command's work, told by standard error, or by files (patterns with `/` first)."""

    name: str
    begins: str
    ends: str = ""
    """Empty: where the command ends."""

    def goes_on(self, started: Started, place: Path) -> bool:
        """Whether the command is in this phase now."""
        told = started.told()
        return _seen(self.begins, told, place) and not (self.ends and _seen(self.ends, told, place))


def _seen(sign: str, told: str, place: Path) -> bool:
    if sign.startswith("/"):
        return next(place.glob(sign[1:]), None) is not None
    return re.search(sign, told) is not None


@dataclass
class Scene:
    """A command, the folder that it works in, and what it leaves there when nothing disturbs it."""

    name: str
    words: Sequence[str]
    place: Path
    """All that the command writes lies here."""
    phases: Sequence[Phase] = ()
    ranks: int = 1
    base: Path | None = None
    """What is in the folder at first; None: nothing."""
    before: Before = bool
    """Called first in each process."""
    lengths: dict[str, float] = field(default_factory=dict)
    """Phase -> seconds of it, undisturbed."""
    sound: dict[str, str] = field(default_factory=dict)
    """See `content`, after the undisturbed command."""
    sizes: list[int] = field(default_factory=list)
    """Of the files that it leaves."""
    printed: str = ""
    """Standard output of the undisturbed command."""

    def begin(self, before: Before | None = None) -> Started:
        """Start the command."""
        return forked(
            self.words, self.place.parent / f"{self.place.name}.out", self.ranks, before or self.before
        )

    def reset(self) -> None:
        """Make the folder what it is before the command."""
        shutil.rmtree(self.place, ignore_errors=True)
        if self.base is None:
            self.place.mkdir(parents=True)
        else:
            shutil.copytree(self.base, self.place)

    def learn(self) -> "Scene":
        """Run the command undisturbed: how long its phases are, and what it leaves."""
        self.reset()
        started, spent = self.begin(), dict.fromkeys((phase.name for phase in self.phases), 0.0)
        last = time.monotonic()
        while not started.ended():
            now = time.monotonic()
            for phase in self.phases:
                if phase.goes_on(started, self.place):
                    spent[phase.name] += now - last
            last = now
            time.sleep(GLANCE)
        if any(codes := started.wait()):
            raise SystemExit(f"{self.name}: the undisturbed command ended with {codes}: {started.told()}")
        self.lengths, self.sound, self.printed = spent, content(self.place), started.printed()
        self.sizes = sizes(self.place)
        return self

    def completed(self) -> str:
        """Run the command undisturbed in the folder as it is; what is wrong then, empty if nothing is."""
        started = self.begin()
        codes = started.wait()
        return self.wrong_end(started, codes)

    def wrong_end(self, started: Started, codes: Sequence[int], inside: str = "") -> str:
        """What is wrong where a command should have completed, in files whose names begin with `inside`."""
        told = started.told()
        if any(codes) and "exists already" not in told:  # what is there is told to be there
            return f"ended with {list(codes)}: {told.strip()[-600:]}"
        sound, found = (
            {name: hash_ for name, hash_ in each.items() if name.startswith(inside)}
            for each in (self.sound, content(self.place))
        )
        return wrong_words(told) or difference(sound, found)


def sizes(place: Path) -> list[int]:
    """Bytes of each file in a folder."""
    return [path.stat().st_size for path in place.rglob("*") if path.is_file()]


def difference(sound: dict[str, str], found: dict[str, str]) -> str:
    """Names of files that differ; empty if none does."""
    names = sorted(name for name in {*sound, *found} if sound.get(name) != found.get(name))
    return f"other files than undisturbed: {', '.join(names[:6])}" if names else ""


def content(place: Path) -> dict[str, str]:
    """File -> hash of its content without times, for all files of a folder, hidden ones too."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.is_file() and not _TIMES.search(name):
            found[re.sub(r"\.[0-9a-f]{8}\b", ".?", name)] = _hash(path)
    return found


def _hash(path: Path) -> str:
    if path.suffix == ".json":
        try:
            value = json.loads(path.read_bytes())
        except ValueError:
            return file_hash(path)
        return hashlib.sha256(json.dumps(_timeless(value), sort_keys=True).encode()).hexdigest()
    if path.suffix == ".jsonl":  # lines may be cut short by a kill, and written again
        lines = sorted({line for line in path.read_bytes().splitlines() if _is_json(line)})
        return hashlib.sha256(b"\n".join(lines)).hexdigest()
    if path.name == "README.md":
        text = re.sub(
            r"[\d.,]+ (seconds|minutes|hours|s\b)|\d{4}-\d\d-\d\d", "", path.read_text(encoding="utf-8")
        )
        return hashlib.sha256(text.encode()).hexdigest()
    return file_hash(path)


def _is_json(line: bytes) -> bool:
    with contextlib.suppress(ValueError):
        json.loads(line)
        return True
    return False


def _timeless(value: Any) -> Any:
    """A JSON value without times, and without hashes of files that hold times."""
    if isinstance(value, dict):
        return {
            name: _timeless(part)
            for name, part in value.items()
            if name not in _TIMED and not (name.endswith("README.md") and isinstance(part, dict))
        }
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def write_corpus(folder: Path) -> Path:
    """A corpus with the splits train, dev and test in English and Spanish."""
    folder.mkdir(parents=True)
    for language in ("en", "es"):
        for split, file, first in (("train", "train", 0), ("dev", "train", PASSAGES), ("test", "test", 0)):
            content = json.loads((BUILTIN_CORPUS / f"{file}.{language}.json").read_text(encoding="utf-8"))
            content["data"] = content["data"][first : first + PASSAGES]
            text = json.dumps(content, ensure_ascii=False)
            (folder / f"{split}.{language}.json").write_text(text, encoding="utf-8")
    return folder
