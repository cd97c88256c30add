"""Start and end logits of a span model."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lbkd.features.batches import Batch


class SpanLogits(NamedTuple):
    """Eq. 1's z: (B, L) float32 logits of the answer's first and last token; -inf at padding."""

    start: Tensor
    end: Tensor


def span_logits(model: torch.nn.Module, batch: "Batch") -> SpanLogits:
    """Run the model; its logits leave in float32, with every padding position at -inf."""
    out = model(**batch.inputs())
    return unpadded(out.start_logits, out.end_logits, batch)


def unpadded(start: Tensor, end: Tensor, batch: "Batch") -> SpanLogits:
    """(B, L) logits in float32, with every padding position at -inf."""
    padding = ~batch.mask
    return SpanLogits(*(z.float().masked_fill(padding, -torch.inf) for z in (start, end)))
