"""Start and end logits of a span model."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lbkd.features.batches import Batch


class SpanLogits(NamedTuple):
    """Eq. 1's z: (B, L) float32 logits of the answer's first and last token; -inf at padding."""

    start: Tensor
    end: Tensor


def span_logits(model: "PreTrainedModel", batch: "Batch") -> SpanLogits:
    """Run the model; its logits leave in float32, with every padding position at -inf."""
    out = model(**batch.inputs())
    padding = ~batch.mask
    return SpanLogits(
        *(z.float().masked_fill(padding, -torch.inf) for z in (out.start_logits, out.end_logits))
    )
