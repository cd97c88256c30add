"""The search for spans by arrays and the one by tensors are held equal."""

import numpy as np
import pytest
import torch
from decoding import assert_same

from lbkd.evaluation import device_spans, spans

CASES = 100_000


def cases(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, W) start and end logits: many ties, zeros with either sign, places where no span may be."""
    width = int(rng.integers(1, 24))
    start, end = rng.normal(0, 10 ** rng.uniform(-2, 1.5), (2, count, width)).astype(np.float32)
    coarse = rng.random(count) < 0.5
    start[coarse], end[coarse] = np.round(start[coarse]), np.round(end[coarse])
    start[rng.random(start.shape) < rng.choice([0, 0.3, 0.9])] = -np.inf
    end[rng.random(end.shape) < rng.choice([0, 0.3, 0.9])] = -np.inf
    start[rng.random(count) < 0.1] = -np.inf  # windows without any span
    end[rng.random(count) < 0.1] = -np.inf
    end[rng.random(end.shape) < 0.1] -= 2000  # exp of that is 0
    return start, end


@pytest.mark.parametrize("seed", range(4))
def test_both_searches_find_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(100):
        start, end = cases(rng, CASES // 400)
        how = int(rng.integers(1, 12)), int(rng.integers(1, 30)), float(rng.choice([1, 1, 0.5, 2.5]))
        mine = spans.best(start, end, *how)
        theirs = device_spans.best(torch.from_numpy(start), torch.from_numpy(end), *how)
        score, first, last, mass = (part.numpy() for part in theirs)
        null = np.zeros(len(start), np.float32)
        assert_same(
            spans.Spans(*mine[:3], null, mine[3]),
            spans.Spans(score, first, last, null, mass[:, 0].astype(np.float32)),
        )
