"""Logits in 12 bits each: numbers of steps above the window's smallest logit.

A window's n logits are two little-endian float32, the smallest logit and the step, a 4095th of the range;
then n whole numbers of steps from 0 to 4095, two of them in three bytes. The error is at most half a step:
0.004 where logits range over 32, as much as float16's between 8 and 16. Softmax depends on differences of
logits alone, so that float16's finer steps near zero gain nothing.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from lbkd.features.tokens import Ints

Bytes = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]

_HEAD = 8
_STEPS = 4095


def sizes(lengths: Ints) -> Ints:
    """(N,) bytes of packed windows with `lengths` tokens."""
    size: Ints = _HEAD + (3 * lengths + 1) // 2
    return size


def mean_size(windows: float, tokens: float) -> float:
    """Expected bytes of packed windows with `tokens` tokens in all; odd lengths take half a byte more."""
    return _HEAD * windows + 1.5 * tokens


def pack(logits: Logits, lengths: Ints) -> Bytes:
    """The packed bytes of N windows, one after another.

    Args:
        logits: (sum of lengths,) finite logits, window after window.
        lengths: (N,) tokens of each window.
    """
    width = int(np.max(lengths, initial=0)) + 1 & ~1
    real = np.arange(width) < lengths[:, None]
    grid = np.zeros(real.shape)
    grid[real] = logits
    low = np.min(grid, axis=1, where=real, initial=np.inf, keepdims=True)
    high = np.max(grid, axis=1, where=real, initial=-np.inf, keepdims=True)
    head = np.concatenate([low, (high - low) / _STEPS], axis=1).astype("<f4")
    steps = np.divide(grid - low, head[:, 1:], where=head[:, 1:] > 0, out=np.zeros_like(grid))
    whole = np.where(real, np.rint(steps).clip(0, _STEPS), 0).astype(np.uint16)
    first, second = whole[:, 0::2], whole[:, 1::2]
    body = np.stack([first & 255, first >> 8 | (second & 15) << 4, second >> 4], axis=2).astype(np.uint8)
    rows = np.concatenate([head.view(np.uint8), body.reshape(len(body), width // 2 * 3)], axis=1)
    packed: Bytes = rows[np.arange(rows.shape[1]) < sizes(lengths)[:, None]]
    return packed


class Packed(Protocol):
    """Bytes in one file or in several, read by slices."""

    def __getitem__(self, at: slice, /) -> Bytes: ...


def unpack(data: Packed, begins: Ints, lengths: Ints, width: int) -> Logits:
    """(B, width) float32 logits, -inf beyond each window's tokens.

    Args:
        data: bytes that `pack` gave.
        begins: (B,) first byte of each window.
        lengths: (B,) tokens of each window, at most `width`.
    """
    pairs = (width + 1) // 2
    rows = np.zeros((len(begins), _HEAD + 3 * pairs), dtype=np.uint8)
    for row, begin, size in zip(rows, begins, sizes(lengths), strict=True):
        row[:size] = data[begin : begin + size]
    head = rows[:, :_HEAD].copy().view("<f4")
    body = rows[:, _HEAD:].reshape(len(rows), pairs, 3).astype(np.uint16)
    first, second = body[..., 0] | (body[..., 1] & 15) << 8, body[..., 1] >> 4 | body[..., 2] << 4
    steps = np.stack([first, second], axis=2).reshape(len(rows), 2 * pairs)[:, :width]
    logits = head[:, :1] + steps * head[:, 1:]
    return np.where(np.arange(width) < lengths[:, None], logits, -np.inf).astype(np.float32)
