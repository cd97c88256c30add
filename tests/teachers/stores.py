"""Stores of made-up logits."""

from pathlib import Path

import numpy as np
import pytest

from lbkd.features.tokens import Ints
from lbkd.teachers.packing import Logits, sizes
from lbkd.teachers.store import LogitsStore

INGREDIENTS = {"corpus": "c0ffee", "teacher": "beef", "windows": {"max_length": 384, "step": 128}}


def make(folder: Path, count: int = 18, seed: int = 0) -> LogitsStore:
    """18 windows of 3 to 40 tokens, with gaps between their ids: blocks of 4, 4, 4, 4 and 2."""
    rng = np.random.default_rng(seed)
    return LogitsStore(folder, np.cumsum(rng.integers(1, 9, count)) << 16, rng.integers(3, 41, count))


def logits(feature: int, length: int) -> tuple[Logits, Logits]:
    start, end = np.random.default_rng(feature).normal(0, 5, (2, length)).astype(np.float32)
    return start, end


def contents(store: LogitsStore, number: int) -> tuple[Logits, Logits]:
    span = store.block(number)
    rows = [logits(*row) for row in zip(store.features[span], store.lengths[span], strict=True)]
    return np.concatenate([row[0] for row in rows]), np.concatenate([row[1] for row in rows])


def fill(store: LogitsStore, rank: int = 0, world: int = 1, at_most: int = 99) -> list[int]:
    """Write what is not finished, as a teacher would; returns the blocks that were written."""
    store.prepare(INGREDIENTS)
    todo = [n for n in range(rank, store.blocks, world) if n not in store.finished()][:at_most]
    for number in todo:
        store.write(number, *contents(store, number), rank)
    return todo


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def first_byte(store: LogitsStore, number: int) -> int:
    return int(sizes(store.lengths[: store.block(number).start]).sum())


def assert_whole(store: LogitsStore) -> None:
    check(store, store.features)


def check(store: LogitsStore, features: Ints, width: int = 41) -> None:
    start, end = store.open(INGREDIENTS).read(features, width)
    assert start.dtype == end.dtype == np.float32
    assert start.shape == end.shape == (len(features), width)
    lengths = dict(zip(store.features, store.lengths, strict=True))
    for n, feature in enumerate(features):
        length = lengths[feature]
        for read, written in zip((start[n], end[n]), logits(feature, length), strict=True):
            assert read[:length] == pytest.approx(written, abs=float(np.ptp(written)) / 8189)
            assert np.all(read[length:] == -np.inf)
