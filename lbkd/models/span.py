"""Start and end logits of a span model, which may be trained with something beside it."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

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


class SpanModelWith(torch.nn.Module):
    """A span model and what is trained beside it; the span model alone is the result.

    Args:
        span: the model with start and end logits.
    """

    def __init__(self, span: "PreTrainedModel") -> None:
        super().__init__()
        self.span = span

    @property
    def config(self) -> "PreTrainedConfig":
        """Config of the span model."""
        return self.span.config

    @property
    def base_model(self) -> torch.nn.Module:
        """The span model's encoder."""
        return self.span.base_model

    def get_input_embeddings(self) -> torch.nn.Module:
        """The encoder's word vectors."""
        return self.span.get_input_embeddings()

    @staticmethod
    def span_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The span model's part of all weights, by the span model's own names."""
        return {
            name.removeprefix("span."): tensor for name, tensor in weights.items() if name.startswith("span.")
        }


class HiddenSpanModel(SpanModelWith):
    """A span model that also tells its last hidden states, at the widths of teachers' states.

    Teachers whose width is the model's own get them as they are, others from a linear layer each.

    Args:
        span: the model with start and end logits.
        widths: of the teachers' hidden states.
    """

    def __init__(self, span: "PreTrainedModel", widths: Sequence[int]) -> None:
        super().__init__(span)
        own = int(span.config.hidden_size)
        self.projections = torch.nn.ModuleList(
            torch.nn.Identity() if width == own else torch.nn.Linear(own, width) for width in widths
        )

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """(B, L) start logits, (B, L) end logits, and for each teacher (B, L, H) hidden states."""
        found: list[Tensor] = []
        hook = self.span.base_model.register_forward_hook(lambda _, __, out: found.append(out[0]))
        try:
            out = self.span(**inputs)
        finally:
            hook.remove()
        return out.start_logits, out.end_logits, *(project(found[0]) for project in self.projections)


def hidden_logits(model: torch.nn.Module, batch: "Batch") -> tuple[SpanLogits, list[Tensor]]:
    """Run a `HiddenSpanModel`: `span_logits` of a batch, and K teachers' (B, L, H) float32 hidden states."""
    start, end, *hidden = model(batch.inputs())
    return unpadded(start, end, batch), [each.float() for each in hidden]


def unpadded(start: Tensor, end: Tensor, batch: "Batch") -> SpanLogits:
    """(B, L) logits in float32, with every padding position at -inf."""
    padding = ~batch.mask
    return SpanLogits(*(z.float().masked_fill(padding, -torch.inf) for z in (start, end)))
