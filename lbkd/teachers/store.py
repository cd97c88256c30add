"""Teachers' logits on disk: ragged, in 12 bits, memory-mapped, addressed by feature id.

    <folder>/manifest.json   what the numbers depend on, the set of windows included
    <folder>/start.u12       start logits of every feature's real tokens, feature after feature
    <folder>/end.u12         (see `packing`)
    <folder>/start.1.u12     the same of the next `SHARD` blocks, and so on
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
from bisect import bisect_right
from collections.abc import Sequence
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
SHARD = 4096
"""Blocks of a file: two million windows, less than a gigabyte as a rule."""
HALVES = ("start", "end")
_MARKED = 16
"""Windows from one whose place is kept in memory to the next."""


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

    def prepare(self, provenance: dict[str, Any]) -> str:
        """Make the folder ready for writing; blocks that were finished with the same provenance are kept.

        One rank calls this, before any of them writes.

        Args:
            provenance: what the logits depend on, by name; JSON values. Windows and format are added.

        Returns:
            The names of the provenance that differ from those of a former store, which is dropped; "".
        """
        changed = self.changed(provenance)
        if changed != "":
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            write_json(self.folder / "manifest.json", self._manifest(provenance))
        for half in HALVES:
            for number in range(0, max(1, self.blocks), SHARD):
                self._file(half, number).touch()
        return changed or ""

    def changed(self, provenance: dict[str, Any]) -> str | None:
        """Names of the provenance that differ from the manifest's; None where there is no manifest."""
        former = read_json(self.folder / "manifest.json")
        return differences(former, self._manifest(provenance)) if isinstance(former, dict) else None

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
            with open(self._file(half, number), "r+b", opener=_synced) as file:
                file.seek(begin)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        line = json.dumps({"block": number, "crc32": checksums})
        with (self.folder / f"blocks.{rank}.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")  # the former line may have been cut short

    def open(self, provenance: dict[str, Any]) -> "StoredLogits":
        """The store for reading.

        Raises:
            DataError: missing, unfinished, damaged, or computed from other provenance (which are named).
        """
        remedy = "Compute it again with `lbkd cache-logits`."
        changed = self.changed(provenance)
        if changed is None:
            raise DataError(f"{self.folder}: no teacher logits here. {remedy}")
        if changed:
            raise DataError(f"{self.folder}: computed with another {changed}. {remedy}")
        missing = sorted(set(range(self.blocks)) - self.finished())
        if missing:
            files = dict.fromkeys(self._file("*", number).name for number in missing)
            shown = ", ".join(list(files)[:4]) + (f" and {len(files) - 4} more" if len(files) > 4 else "")
            raise DataError(
                f"{self.folder}: {len(missing)} of {self.blocks} blocks are missing or damaged, in {shown} "
                f"(the first is block {missing[0]}). {remedy}"
            )
        return StoredLogits(self.features, self.lengths, *(self._map(half) for half in HALVES))

    def _manifest(self, provenance: dict[str, Any]) -> dict[str, Any]:
        """All that the bytes depend on, as JSON gives it back."""
        windows = hashlib.sha256()
        for column in (self.features, self.lengths):
            for number in range(self.blocks):
                windows.update(column[self.block(number)].astype("<i8").tobytes())
        own = {"format version": VERSION, "set of windows": windows.hexdigest()}
        described: dict[str, Any] = json.loads(json.dumps({**provenance, **own}))
        return described

    def _file(self, half: str, number: int) -> Path:
        """Where a block lies."""
        shard = number // SHARD
        return self.folder / (f"{half}.{shard}.u12" if shard else f"{half}.u12")

    def _map(self, half: str) -> "Shards":
        firsts = range(0, self.blocks, SHARD)
        files = [np.memmap(self._file(half, first), np.uint8, "r").view(np.ndarray) for first in firsts]
        return Shards(files, [int(self._offsets[first]) for first in firsts])

    @cached_property
    def _offsets(self) -> Ints:
        """(blocks + 1,) bytes of one half before each block; the last entry is those of all."""
        return offsets(self.lengths, BLOCK)

    def _bytes(self, number: int) -> tuple[int, int]:
        """First byte of a block in its file, and one past its last."""
        begin, end, first = self._offsets[[number, number + 1, number - number % SHARD]].tolist()
        return begin - first, end - first

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
                with self._file(half, number).open("rb") as file:
                    file.seek(begin)
                    checksums.append(zlib.crc32(file.read(end - begin)))
            except FileNotFoundError:
                return []
        return checksums


def _synced(path: str, flags: int) -> int:
    """Open for synchronous writes: else NFS may write whole pages, over what another host wrote beside."""
    return os.open(path, flags | os.O_DSYNC)


@dataclass(frozen=True)
class Shards:
    """Files one after another, read like one array; nothing that is asked for lies in two of them."""

    files: Sequence[Bytes]
    begins: Sequence[int]
    """The first byte of each."""

    def __getitem__(self, at: slice) -> Bytes:
        shard = bisect_right(self.begins, at.start) - 1
        begin = self.begins[shard]
        return self.files[shard][at.start - begin : at.stop - begin]


@dataclass(frozen=True)
class StoredLogits:
    """A finished store, memory-mapped."""

    features: Ints
    lengths: Ints
    start: Shards
    end: Shards

    @cached_property
    def _offsets(self) -> Ints:
        """Of every sixteenth window: K teachers have K of these, but share features and lengths."""
        return offsets(self.lengths, _MARKED)

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
        lengths = self.lengths[rows]
        before = (rows - rows % _MARKED)[:, None] + np.arange(_MARKED)
        between = sizes(self.lengths[np.minimum(before, rows[:, None])])
        begins = self._offsets[rows // _MARKED] + between.sum(axis=1, where=before < rows[:, None])
        return unpack(self.start, begins, lengths, width), unpack(self.end, begins, lengths, width)


def offsets(lengths: Ints, every: int) -> Ints:
    """First byte of each window whose number `every` divides, and, last, the bytes of all.

    Args:
        lengths: (N,) tokens of windows that are packed one after another.
        every: at least 1.
    """
    until = np.cumsum(sizes(lengths), dtype=np.int64)
    return np.concatenate([[0], until[every - 1 : -1 : every], until[-1:]])
