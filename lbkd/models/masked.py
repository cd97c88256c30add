"""One encoder with two heads: one for answer spans, one for masked tokens."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lbkd.models.span import SpanLogits, SpanModelWith, unpadded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lbkd.features.batches import Batch
    from lbkd.features.masks import MaskedBatch


class MaskedSpanModel(SpanModelWith):
    """A span model whose encoder also has a masked-language-modelling head.

    The head is the model family's own: the family's masked language model runs with a stand-in for its
    encoder, which passes on the hidden states of the span model's encoder. So logits over the vocabulary are
    computed at M chosen positions only. Families that tie output embeddings to word vectors still do.

    Args:
        span: the model with start and end logits.
        language: a masked language model of the same family and size; its encoder is dropped.
    """

    def __init__(self, span: "PreTrainedModel", language: "PreTrainedModel") -> None:
        super().__init__(span)
        setattr(language, language.base_model_prefix, span.base_model)
        language.tie_weights()
        setattr(language, language.base_model_prefix, _StandIn())
        self.head = language

    def forward(
        self, inputs: dict[str, Tensor], masked: dict[str, Tensor], places: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L) start logits, (B, L) end logits, and (M, V) logits of the chosen tokens.

        Args:
            inputs: model input of B windows.
            masked: model input of B' windows with masked phrases.
            places: (M,) int64: positions of the chosen tokens in the flattened (B' * L) batch `masked`.
        """
        out = self.span(**inputs)
        hidden = self.span.base_model(**masked)[0].flatten(0, 1)[places]
        tokens = self.head(inputs_embeds=hidden[None]).logits[0]
        return out.start_logits, out.end_logits, tokens


class _StandIn(torch.nn.Module):
    """A module in an encoder's place that returns its input as hidden states."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=inputs_embeds)


def masked_logits(model: torch.nn.Module, batch: "Batch", masked: "MaskedBatch") -> tuple[SpanLogits, Tensor]:
    """Run a `MaskedSpanModel`: `span_logits` of a batch, and (M, V) float32 logits of the chosen tokens."""
    start, end, tokens = model(batch.inputs(), masked.batch.inputs(), masked.places)
    return unpadded(start, end, batch), tokens.float()
