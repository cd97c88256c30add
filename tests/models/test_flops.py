import numpy as np
import pytest
import torch

from lbkd.models import flops
from lbkd.models.flops import matmul_peak, matrix_weights, training_flops


def test_flops_by_hand() -> None:
    layers = {
        "embeddings": torch.nn.Embedding(9, 3),
        "up": torch.nn.Linear(3, 4),
        "down": torch.nn.Linear(4, 2),
    }
    weights = matrix_weights(torch.nn.ModuleDict(layers))
    assert weights == 3 * 4 + 4 * 2
    # two windows of 4 and 6 tokens, two layers 4 wide
    assert training_flops(weights, 10, 16 + 36, 2, 4) == 6 * 20 * 10 + 12 * 2 * 4 * 52


def test_matmul_peak_is_a_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a made-up clock, on which the products take 4, 2, 3, 4 and 4 seconds."""
    times = iter(np.cumsum([0, 4, 0, 2, 0, 3, 0, 4, 0, 4]).tolist())
    monkeypatch.setattr(flops.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(flops, "linear", lambda a, b: None)
    assert matmul_peak(torch.device("cpu"), torch.float32) == 2 * 1536**3 / 2
