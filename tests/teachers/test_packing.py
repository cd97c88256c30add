import numpy as np
import pytest

from lbkd.teachers.packing import pack, sizes, unpack


def begins(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(sizes(lengths)) - sizes(lengths)


def test_the_bytes() -> None:
    # Smallest 10, step 1: steps 0, 4095, 1 (1.4 rounded), 3 (2.6 rounded), 0. The low eight bits of the first
    # of two, its high four and the low four of the second, the high eight of the second.
    data = pack(np.array([10, 4105, 11.4, 12.6, 10], dtype=np.float32), np.array([5]))
    assert data[:8].view("<f4").tolist() == [10.0, 1.0]
    assert data[8:].tolist() == [0, 0xF0, 0xFF, 1, 0x30, 0, 0, 0]
    assert sizes(np.array([0, 1, 2, 5])).tolist() == [8, 10, 11, 16]
    assert unpack(data, np.array([0]), np.array([5]), 6).tolist() == [[10, 4105, 11, 13, 10, -np.inf]]


def test_equal_logits_are_kept_as_they_are() -> None:
    lengths = np.array([3, 1, 4])
    values = np.repeat(np.array([0.1, -1e5, 1 / 3], dtype=np.float32), lengths)
    found = unpack(pack(values, lengths), begins(lengths), lengths, 4)
    assert np.array_equal(found[np.isfinite(found)], values)


@pytest.mark.parametrize("scale", [1e-3, 1, 16, 1e6])
def test_the_error_is_half_a_step(scale: float) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 50, 200)
    values = rng.uniform(-scale, scale, lengths.sum()).astype(np.float32)
    order = rng.permutation(200)
    found = unpack(pack(values, lengths), begins(lengths)[order], lengths[order], 50)
    for row, n in zip(found, order, strict=True):
        mine = values[lengths[:n].sum() :][: lengths[n]]
        assert np.all(row[lengths[n] :] == -np.inf)
        error = np.abs(row[: lengths[n]] - mine)
        assert error.max() <= np.ptp(mine) / 8190 * 1.001
        best = int(mine.argmax())
        assert row[best] == row.max()
        assert error[best] <= scale * 1e-6


def test_no_worse_than_float16_where_logits_range_over_32() -> None:
    values = np.linspace(-16, 16, 100_001, dtype=np.float32)
    rows = np.array_split(values, 300)  # no window sees the whole range: its steps are finer yet
    lengths = np.array([len(row) for row in rows])
    found = unpack(pack(values, lengths), begins(lengths), lengths, max(lengths))
    whole = unpack(pack(values, np.array([len(values)])), np.array([0]), np.array([len(values)]), len(values))
    halves = np.abs(values.astype(np.float16) - values).max()
    assert np.abs(whole[0] - values).max() <= halves * 1.001
    assert np.abs(found[np.isfinite(found)] - values).max() <= halves / 100


def test_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    data = pack(np.zeros(0, dtype=np.float32), none)
    assert data.size == 0
    assert unpack(data, none, none, 7).shape == (0, 7)
