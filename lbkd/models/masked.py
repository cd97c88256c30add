"""One encoder, two heads: answers' spans, and masked tokens."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lbkd.models.span import SpanLogits, unpadded

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from lbkd.features.batches import Batch
    from lbkd.features.masks import MaskedBatch


class MaskedSpanModel(torch.nn.Module):
    """A span model whose encoder a masked-language-modelling head learns with.

    The head is the model family's own, whatever its parts are called: the family's masked language model runs
    with a stand-in for its encoder, which hands over what the span model's encoder said. So the vocabulary's
    logits are computed at M chosen positions only. The output embeddings are the encoder's word vectors where
    the family ties them.

    Args:
        span: start and end logits.
        language: a masked language model of the same family and size; its own encoder is not used.
    """

    def __init__(self, span: "PreTrainedModel", language: "PreTrainedModel") -> None:
        super().__init__()
        self.span = span
        setattr(language, language.base_model_prefix, span.base_model)
        language.tie_weights()
        setattr(language, language.base_model_prefix, _StandIn())
        self.head = language

    def forward(
        self, inputs: dict[str, Tensor], masked: dict[str, Tensor], places: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L) start logits, (B, L) end logits, and (M, V) logits of the chosen tokens of other windows.

        Args:
            inputs: B windows.
            masked: B' windows with masked phrases.
            places: (M,) int64: the tokens to tell, counted along the rows of `masked`.
        """
        out = self.span(**inputs)
        hidden = self.span.base_model(**masked)[0].flatten(0, 1)[places]
        tokens = self.head(inputs_embeds=hidden[None]).logits[0]
        return out.start_logits, out.end_logits, tokens

    @property
    def config(self) -> "PreTrainedConfig":
        """The span model's."""
        return self.span.config

    @property
    def base_model(self) -> torch.nn.Module:
        """The encoder, shared by both heads."""
        return self.span.base_model

    def get_input_embeddings(self) -> torch.nn.Module:
        """The word vectors."""
        return self.span.get_input_embeddings()

    @staticmethod
    def span_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of all weights by name, those of the span model, by the names that they have there."""
        return {
            name.removeprefix("span."): tensor for name, tensor in weights.items() if name.startswith("span.")
        }


class _StandIn(torch.nn.Module):
    """Takes an encoder's place, and hands on what it is given."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=inputs_embeds)


def masked_logits(model: torch.nn.Module, batch: "Batch", masked: "MaskedBatch") -> tuple[SpanLogits, Tensor]:
    """Run a `MaskedSpanModel`: `span_logits` of a batch, and (M, V) float32 logits of the chosen tokens."""
    start, end, tokens = model(batch.inputs(), masked.batch.inputs(), masked.places)
    return unpadded(start, end, batch), tokens.float()
