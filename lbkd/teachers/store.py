"""Teachers' logits on disk: ragged, in 12 bits, memory-mapped, addressed by feature id.

    <folder>/manifest.json   what the numbers depend on, the set of windows included
    <folder>/start.u12       start logits of every feature's real tokens, feature after feature
    <folder>/end.u12         (see `packing`)
    <folder>/blocks.<rank>.jsonl   one line a finished block: its number and the checksums of its bytes

Features stand in ascending order of id; a block is `BLOCK` of them in a row. Ranks write disjoint blocks.
A block counts once its bytes are on disk and a line says so; its bytes are held against that line at every
opening.
"""

import hashlib
import json
import os
import shutil
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lbkd.errors import DataError
from lbkd.features.tokens import Ints
from lbkd.teachers.packing import Bytes, Logits, pack, sizes, unpack
from lbkd.workspace import differences, read_json, write_json

VERSION = 2
BLOCK = 512
HALVES = ("start", "end")


@dataclass(frozen=True)
class LogitsStore:
    """One teacher's logits for a set of features.

    Args:
        folder: where the files lie.
        features: (N,) feature ids, ascending.
        lengths: (N,) real tokens of each.
    """

    folder: Path
    features: Ints
    lengths: Ints

    @property
    def blocks(self) -> int:
        """Number of blocks, finished or not."""
        return -(-len(self.features) // BLOCK)

    def block(self, number: int) -> slice:
        """Which of the features a block holds."""
        return slice(number * BLOCK, min((number + 1) * BLOCK, len(self.features)))

    def prepare(self, ingredients: dict[str, Any]) -> str:
        """Make the folder ready for writing; blocks that were finished with the same ingredients are kept.

        One rank calls this, before any of them writes.

        Args:
            ingredients: what the logits depend on, by name; JSON values. Windows and format are added.

        Returns:
            The names of the ingredients that differ from those of a former store, which is dropped; "".
        """
        changed = self._changed(ingredients)
        if changed != "":
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            write_json(self.folder / "manifest.json", self._manifest(ingredients))
        for half in HALVES:
            self._file(half).touch()
        return changed or ""

    def finished(self) -> set[int]:
        """Blocks whose bytes are on disk and undamaged."""
        claims = self._claims()
        return {n for n in range(self.blocks) if n in claims and self._checksums(n) in claims[n]}

    def write(self, number: int, start: Logits, end: Logits, rank: int) -> None:
        """Write one block: the logits of its features' tokens, feature after feature, both (tokens,)."""
        begin, _ = self._bytes(number)
        checksums = []
        for half, values in zip(HALVES, (start, end), strict=True):
            data = pack(values, self.lengths[self.block(number)]).tobytes()
            checksums.append(zlib.crc32(data))
            with self._file(half).open("r+b") as file:
                file.seek(begin)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        line = json.dumps({"block": number, "crc32": checksums})
        with (self.folder / f"blocks.{rank}.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")  # the former line may have been cut short

    def open(self, ingredients: dict[str, Any]) -> "StoredLogits":
        """The store for reading.

        Raises:
            DataError: missing, unfinished, damaged, or computed from other ingredients (which are named).
        """
        remedy = "Compute it again with `lbkd cache-logits`."
        changed = self._changed(ingredients)
        if changed is None:
            raise DataError(f"{self.folder}: no teacher logits here. {remedy}")
        if changed:
            raise DataError(f"{self.folder}: computed with another {changed}. {remedy}")
        missing = sorted(set(range(self.blocks)) - self.finished())
        if missing:
            raise DataError(
                f"{self.folder}: {len(missing)} of {self.blocks} blocks are missing or damaged "
                f"(the first is block {missing[0]}). {remedy}"
            )
        return StoredLogits(self.features, self.lengths, *(self._map(half) for half in HALVES))

    def _manifest(self, ingredients: dict[str, Any]) -> dict[str, Any]:
        """All that the bytes depend on, as JSON gives it back."""
        windows = hashlib.sha256(np.stack([self.features, self.lengths]).astype("<i8").tobytes()).hexdigest()
        own = {"format version": VERSION, "set of windows": windows}
        described: dict[str, Any] = json.loads(json.dumps({**ingredients, **own}))
        return described

    def _changed(self, ingredients: dict[str, Any]) -> str | None:
        """Names of the ingredients that differ from the manifest's; None where there is no manifest."""
        former = read_json(self.folder / "manifest.json")
        return differences(former, self._manifest(ingredients)) if isinstance(former, dict) else None

    def _file(self, half: str) -> Path:
        return self.folder / f"{half}.u12"

    def _map(self, half: str) -> Bytes:
        if not self._offsets[-1]:
            return np.zeros(0, dtype=np.uint8)  # an empty file cannot be mapped
        return np.memmap(self._file(half), np.uint8, "r").view(np.ndarray)

    @cached_property
    def _offsets(self) -> Ints:
        """(N + 1,) first byte of each feature's logits; the last entry is the size of a file."""
        return offsets(self.lengths)

    def _bytes(self, number: int) -> tuple[int, int]:
        """First byte of a block in either file, and one past its last."""
        span = self.block(number)
        return int(self._offsets[span.start]), int(self._offsets[span.stop])

    def _claims(self) -> dict[int, list[list[int]]]:
        """Checksums by block, as its writers noted them; several where it was written several times."""
        found: dict[int, list[list[int]]] = {}
        for path in sorted(self.folder.glob("blocks.*.jsonl")):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                    found.setdefault(int(entry["block"]), []).append(entry["crc32"])
                except (ValueError, KeyError, TypeError):
                    continue  # a line that a crash cut short
        return found

    def _checksums(self, number: int) -> list[int]:
        """Of the bytes on disk, start and end; empty where a file is missing."""
        begin, end = self._bytes(number)
        checksums = []
        for half in HALVES:
            try:
                with self._file(half).open("rb") as file:
                    file.seek(begin)
                    checksums.append(zlib.crc32(file.read(end - begin)))
            except FileNotFoundError:
                return []
        return checksums


@dataclass(frozen=True)
class StoredLogits:
    """A finished store, memory-mapped."""

    features: Ints
    lengths: Ints
    start: Bytes
    end: Bytes

    @cached_property
    def _offsets(self) -> Ints:
        return offsets(self.lengths)

    def read(self, features: Ints, width: int) -> tuple[Logits, Logits]:
        """Start and end logits of the given features, (B, width) float32, -inf beyond each one's tokens.

        Raises:
            DataError: a feature that the store does not hold.
        """
        rows = np.searchsorted(self.features, features)
        if np.any(rows >= len(self.features)) or np.any(self.features[rows] != features):
            raise DataError(
                "the store of teacher logits lacks some of these windows; see `lbkd cache-logits`."
            )
        begins, lengths = self._offsets[rows], self.lengths[rows]
        return unpack(self.start, begins, lengths, width), unpack(self.end, begins, lengths, width)


def offsets(lengths: Ints) -> Ints:
    """(N + 1,) first byte of windows of `lengths` (N,) tokens that are packed one after another."""
    return np.concatenate([[0], np.cumsum(sizes(lengths), dtype=np.int64)])
