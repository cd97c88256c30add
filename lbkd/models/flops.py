"""Floating-point operations of a model, and how many of them a machine does a second."""

import time
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import linear

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """The machine's own speed limit: FLOP/s of a linear layer on large square matrices, the best of five.

    A layer's weights are transposed. On a CPU that has no bf16 units, other products in bf16 (`torch.mm`) are
    twenty times slower than a layer's, and no limit.
    """
    size = 8192 if device.type == "cuda" else 1536
    own = torch.Generator(device).manual_seed(0)  # the run's random numbers do not depend on this
    a = torch.randn(size, size, device=device, dtype=dtype, generator=own)
    best = 0.0
    for _ in range(5):
        _wait(device)
        began = time.perf_counter()
        linear(a, a)
        _wait(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def matrix_weights(model: torch.nn.Module) -> int:
    """Number of weights in matrices outside the embeddings; to be asked before ZeRO cuts them up."""
    return sum(p.numel() for name, p in model.named_parameters() if p.ndim > 1 and "embedding" not in name)


def encoder_shape(model: "PreTrainedModel") -> tuple[int, int]:
    """Layers and width, whatever the family calls them; 0 where it does not tell."""
    config = model.config
    return (
        int(getattr(config, "num_hidden_layers", 0) or getattr(config, "n_layers", 0)),
        int(getattr(config, "hidden_size", 0) or getattr(config, "dim", 0)),
    )


def training_flops(weights: int, tokens: float, squares: float, layers: int, hidden: int) -> float:
    """Floating-point operations of a forward and backward pass.

    6 per token and weight outside the embeddings, and 12 * layers * hidden per token and position attended.

    Args:
        weights: see `matrix_weights`.
        tokens: real tokens of the batch.
        squares: sum over its windows of their length squared.
        layers: of the encoder.
        hidden: width of the encoder.
    """
    return 6.0 * weights * tokens + 12.0 * layers * hidden * squares


def head_flops(head: torch.nn.Module) -> int:
    """Operations of a masked token in its head, forward and backward: to be asked before ZeRO cuts it up.

    6 per weight in matrices, the output embeddings among them; 4 where the weight is frozen.
    """
    return sum((6 if p.requires_grad else 4) * p.numel() for p in head.parameters() if p.ndim > 1)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
