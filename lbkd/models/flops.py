"""Floating-point operations (FLOPs) of a model, and FLOP/s of a machine."""

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
    own = torch.Generator(device).manual_seed(0)  # leaves the random numbers of the run alone
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
    """Number of weights in matrices outside the embeddings; call this before ZeRO partitions weights."""
    looked_up = {
        id(p) for part in model.modules() if isinstance(part, torch.nn.Embedding) for p in part.parameters()
    }
    return sum(p.numel() for p in model.parameters() if p.ndim > 1 and id(p) not in looked_up)


def encoder_shape(model: "PreTrainedModel") -> tuple[int, int]:
    """Layers and width of an encoder of any family; 0 where the config has neither name."""
    config = model.config
    return (
        int(getattr(config, "num_hidden_layers", 0) or getattr(config, "n_layers", 0)),
        int(getattr(config, "hidden_size", 0) or getattr(config, "dim", 0)),
    )


def training_flops(weights: int, tokens: float, squares: float, layers: int, hidden: int) -> float:
    """FLOPs of a forward and backward pass.

    6 per token and weight outside the embeddings, and 12 * layers * hidden per token and position attended.

    Args:
        weights: see `matrix_weights`.
        tokens: real tokens of the batch.
        squares: sum of the windows' squared lengths.
        layers: number of the encoder's layers.
        hidden: width of the encoder.
    """
    return 6.0 * weights * tokens + 12.0 * layers * hidden * squares


def head_flops(head: torch.nn.Module) -> int:
    """FLOPs of a language-modelling head for one masked token, forward and backward.

    6 per weight in matrices, output embeddings included; 4 per frozen weight. Call this before ZeRO
    partitions weights.
    """
    return sum((6 if p.requires_grad else 4) * p.numel() for p in head.parameters() if p.ndim > 1)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
