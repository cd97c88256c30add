"""Negative log-likelihood of the gold answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import cross_entropy

from lbkd.criterions import Criterion, Loss

if TYPE_CHECKING:
    from lbkd.features.batches import Batch
    from lbkd.models.span import SpanLogits


class Nll(Criterion):
    """Eq. 2 and 5: minus log-probability, in nats, of the gold start plus that of the gold end.

    Mean over examples. Hugging Face's run_qa takes half of the sum.
    """

    def __call__(self, student: SpanLogits, batch: Batch, teachers: SpanLogits | None) -> Loss:
        loss = cross_entropy(student.start, batch.starts) + cross_entropy(student.end, batch.ends)
        return Loss(loss, {"nll": loss.detach()})
