"""Teachers' logits on disk: ragged, in 12 bits, memory-mapped, addressed by feature id.

    <folder>/manifest.json   provenance of the logits, the set of windows included
    <folder>/start.u12       start logits of every feature's real tokens, in order (see `packing`)
    <folder>/end.u12         end logits likewise
    <folder>/start.1.u12     start logits of the next `SHARD` blocks, and so on
    <folder>/blocks.<rank>.jsonl   one line for each finished block: its number and the checksums of its bytes

Features stand in ascending order of id; a block holds `BLOCK` features in a row. Ranks write disjoint blocks.
A block is finished once its bytes are on disk and a line has its checksums; every opening of a store compares
the bytes with the checksums.
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
"""Every so many windows, memory holds the place of one."""


@dataclass(frozen=True)
class LogitsStore:
    """One teacher's logits for a set of features.

    Args:
        folder: folder of the files.
        features: (N,) feature ids, ascending.
        lengths: (N,) real tokens of each feature.
    """

    folder: Path
    features: Ints
    lengths: Ints

    @property
    def blocks(self) -> int:
        """Number of blocks, finished or not."""
        return -(-len(self.features) // BLOCK)

    def block(self, number: int) -> slice:
        """The part of the features in a block."""
        return slice(number * BLOCK, min((number + 1) * BLOCK, len(self.features)))

    def prepare(self, provenance: dict[str, Any]) -> str:
        """Make the folder ready for writing; finished blocks with the same provenance are kept.

        One rank calls this, before any rank writes.

        Args:
            provenance: everything that the logits depend on, by name; JSON values. The set of windows and
                the format version are added.

        Returns:
            Names in which the provenance differs from a former store's, which is deleted; "" if none.
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
        """Write one block: (tokens,) start and (tokens,) end logits of its features, in order."""
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
            DataError: a store that is missing, unfinished, damaged, or of another provenance.
        """
        remedy = "Compute it again: `lbkd cache-logits`, with the corpus, model and seed of these teachers."
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
        """Everything that the bytes depend on, as JSON gives it back."""
        windows = hashlib.sha256()
        for column in (self.features, self.lengths):
            for number in range(self.blocks):
                windows.update(column[self.block(number)].astype("<i8").tobytes())
        own = {"format version": VERSION, "set of windows": windows.hexdigest()}
        described: dict[str, Any] = json.loads(json.dumps({**provenance, **own}))
        return described

    def _file(self, half: str, number: int) -> Path:
        """The file of a block."""
        shard = number // SHARD
        return self.folder / (f"{half}.{shard}.u12" if shard else f"{half}.u12")

    def _map(self, half: str) -> "Shards":
        firsts = range(0, self.blocks, SHARD)
        files = [np.memmap(self._file(half, first), np.uint8, "r").view(np.ndarray) for first in firsts]
        return Shards(files, [int(self._offsets[first]) for first in firsts])

    @cached_property
    def _offsets(self) -> Ints:
        """(blocks + 1,) bytes of one half before each block, and of all blocks."""
        return offsets(self.lengths, BLOCK)

    def _bytes(self, number: int) -> tuple[int, int]:
        """First byte of a block in its file, and one past the last byte."""
        begin, end, first = self._offsets[[number, number + 1, number - number % SHARD]].tolist()
        return begin - first, end - first

    def _claims(self) -> dict[int, list[list[int]]]:
        """Block -> checksums noted by its writers, several if the block was written several times."""
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
        """Checksums of a block's bytes on disk, start and end; empty where a file is missing."""
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
    """Open a file for synchronous writes: otherwise NFS may overwrite neighbouring bytes of another host."""
    return os.open(path, flags | os.O_DSYNC)


@dataclass(frozen=True)
class Shards:
    """Files one after another, read like one array; no slice may lie in two files."""

    files: Sequence[Bytes]
    begins: Sequence[int]
    """Number of each file's first byte."""

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
        """First byte of every sixteenth window; K teachers have K arrays, but share features and lengths."""
        return offsets(self.lengths, _MARKED)

    def read(self, features: Ints, width: int) -> tuple[Logits, Logits]:
        """Start and end logits of the given features, each (B, width) float32, -inf beyond the tokens.

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
    """First bytes of the windows 0, `every`, 2 `every`, ...; the last entry is the number of all bytes.

    Args:
        lengths: (N,) tokens of windows that are packed one after another.
        every: at least 1.
    """
    until = np.cumsum(sizes(lengths), dtype=np.int64)
    return np.concatenate([[0], until[every - 1 : -1 : every], until[-1:]])
