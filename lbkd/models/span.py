"""Start and end logits of a span model."""

import warnings
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lbkd.features.batches import Batch


class SpanLogits(NamedTuple):
    """Eq. 1's z: (B, L) float32 logits of the answer's first and last token; -inf at padding."""

    start: Tensor
    end: Tensor


class _ExactLinear(torch.nn.Linear):
    """A linear layer that computes in float32 under half-precision autocast, too."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return torch.nn.functional.linear(input.float(), self.weight.float(), bias)


def exact_head(model: "PreTrainedModel") -> None:
    """Make the linear layers behind the encoder compute in float32: bf16's steps above 8 are 1/16."""
    encoder = {id(module) for module in model.base_model.modules()}
    for module in torch.nn.Module.modules(model):
        if type(module) is torch.nn.Linear and id(module) not in encoder:
            module.__class__ = _ExactLinear


def checkpoint_layers(model: "PreTrainedModel") -> None:
    """Make every layer keep its input alone for the backward pass, and compute the rest again.

    Raises:
        ConfigError: the model's family cannot do that.
    """
    if not model.supports_gradient_checkpointing:
        raise ConfigError(
            f"training.gradient_checkpointing: models of the type {model.config.model_type!r} cannot compute "
            "their layers again; set it to false."
        )
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # the name that all of 5.x has
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]


def span_logits(model: torch.nn.Module, batch: "Batch") -> SpanLogits:
    """The model's logits for a batch, in float32, with every padding position at -inf."""
    out = model(**batch.inputs())
    return unpadded(out.start_logits, out.end_logits, batch)


def unpadded(start: Tensor, end: Tensor, batch: "Batch") -> SpanLogits:
    """(B, L) logits in float32, with every padding position at -inf."""
    padding = ~batch.mask
    return SpanLogits(*(z.float().masked_fill(padding, -torch.inf) for z in (start, end)))
