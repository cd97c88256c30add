"""Loss on gold answers plus masked language modelling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.nn.functional import cross_entropy

from lbkd.criterions import Criterion, Loss
from lbkd.criterions.nll import Nll
from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from lbkd.features.batches import Batch
    from lbkd.models.span import SpanLogits


class Mlm(Criterion):
    """NLL of the gold answers (Eq. 5) + weight * masked language modelling, for the LAKM tasks.

    The second part is the cross-entropy, in nats, of the original tokens of the phrases chosen for masking;
    some of these tokens stay unmasked, as in Devlin et al. (2019). Mean over tokens; 0 without any.

    Args:
        weight: factor of the masked language modelling loss.
    """

    needs_masks = True

    def __init__(self, weight: float = 1.0) -> None:
        if not 0 <= weight < math.inf:
            raise ConfigError(f"weight = {weight}: must be at least 0 and finite.")
        self.weight = weight
        self.nll = Nll()

    def __call__(self, student: SpanLogits, batch: Batch, teachers: SpanLogits | None) -> Loss:
        return self.nll(student, batch, None)

    def masked(self, logits: Tensor, labels: Tensor) -> Loss:
        loss = cross_entropy(logits, labels, reduction="sum") / max(1, len(labels))
        return Loss(self.weight * loss, {"mlm": loss.detach()})
