from pathlib import Path

import numpy as np
import pytest
from stores import INGREDIENTS, assert_whole, check, fill, flip, make

from lbkd.errors import DataError
from lbkd.teachers import store as module
from lbkd.teachers.store import LogitsStore, offsets


@pytest.fixture
def sharded(store: LogitsStore, monkeypatch: pytest.MonkeyPatch) -> LogitsStore:
    """Two blocks a file: blocks 0 and 1, 2 and 3, and 4."""
    monkeypatch.setattr(module, "SHARD", 2)
    return store


FILES = ["start.u12", "start.1.u12", "start.2.u12"]


def test_shards_hold_the_bytes_of_one_file(
    sharded: LogitsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sharded)
    assert_whole(sharded)
    rng = np.random.default_rng(1)
    check(sharded, rng.permutation(sharded.features))
    monkeypatch.setattr(module, "SHARD", 99)
    whole = make(tmp_path / "whole")
    fill(whole)
    for half in module.HALVES:
        parts = [(sharded.folder / name.replace("start", half)).read_bytes() for name in FILES]
        assert all(parts)
        assert b"".join(parts) == (whole.folder / f"{half}.u12").read_bytes()


@pytest.mark.parametrize(("name", "blocks", "first"), [("start.1.u12", 2, 2), ("end.2.u12", 1, 4)])
def test_a_damaged_shard_is_named(sharded: LogitsStore, name: str, blocks: int, first: int) -> None:
    fill(sharded)
    (sharded.folder / name).unlink()
    shard = name.partition(".")[2]
    with pytest.raises(DataError, match=rf"{blocks} of 5 blocks .*, in \*\.{shard} \(.* block {first}\)"):
        sharded.open(INGREDIENTS)
    assert fill(sharded) == list(range(first, first + blocks))
    assert_whole(sharded)


def test_a_flipped_bit_in_a_shard(sharded: LogitsStore) -> None:
    fill(sharded, at_most=3)
    assert fill(sharded) == [3, 4]
    flip(sharded.folder / "end.2.u12", 5)
    assert sharded.finished() == {0, 1, 2, 3}
    assert fill(sharded) == [4]
    assert_whole(sharded)


def test_ranks_write_shards(sharded: LogitsStore) -> None:
    assert fill(sharded, rank=1, world=2) == [1, 3]
    assert fill(sharded, rank=0, world=2) == [0, 2, 4]
    assert_whole(sharded)


def test_offsets_by_hand() -> None:
    # 8 bytes and 12 bits a token: 10 bytes for 1, 11 for 2, 13 for 3, 14 for 4 and 16 for 5
    assert offsets(np.array([1, 2, 3, 4, 5]), 1).tolist() == [0, 10, 21, 34, 48, 64]
    assert offsets(np.array([1, 2, 3, 4, 5]), 2).tolist() == [0, 21, 48, 64]
    assert offsets(np.array([1, 2, 3, 4]), 2).tolist() == [0, 21, 48]
    assert offsets(np.zeros(0, dtype=int), 2).tolist() == [0]
