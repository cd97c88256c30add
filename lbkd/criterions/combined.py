"""Weighted sum of the losses on gold labels and on teachers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from lbkd.criterions import Criterion, Loss
from lbkd.criterions.hidden import Hidden
from lbkd.criterions.jsd import Jsd
from lbkd.criterions.kd import Kd
from lbkd.criterions.logit_mse import LogitMse
from lbkd.criterions.nll import Nll
from lbkd.criterions.reverse_kl import ReverseKl
from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lbkd.features.batches import Batch
    from lbkd.models.span import SpanLogits


class Combined(Criterion):
    """Eq. 6: nll_weight * NLL (Eq. 5) + kd_weight * KD (Eq. 4).

    Args:
        nll_weight: lambda 1, at least 0.
        kd_weight: lambda 2, at least 0; not both are 0.
        temperature: tau of the KD part, but for `logit-mse` and `hidden`, which have none; NLL's is 1.
        kd: criterion of the KD part; the paper's is `kd`.
    """

    needs_teachers = True

    def __init__(
        self,
        nll_weight: float = 0.5,
        kd_weight: float = 0.5,
        temperature: float = 2.0,
        kd: Literal["kd", "jsd", "reverse-kl", "logit-mse", "hidden"] = "kd",
    ) -> None:
        if not (min(nll_weight, kd_weight) >= 0 and 0 < nll_weight + kd_weight < math.inf):
            raise ConfigError(
                f"nll_weight = {nll_weight}, kd_weight = {kd_weight}: each must be at least 0 and finite, "
                "and one above 0."
            )
        self.nll_weight = nll_weight
        self.kd_weight = kd_weight
        self.nll = Nll()
        softened = {"kd": Kd, "jsd": Jsd, "reverse-kl": ReverseKl}
        others = {"logit-mse": LogitMse, "hidden": Hidden}
        self.kd = softened[kd](temperature) if kd in softened else others[kd]()
        self.needs_hidden = self.kd.needs_hidden

    def __call__(self, student: SpanLogits, batch: Batch, teachers: SpanLogits | None) -> Loss:
        nll = self.nll(student, batch, None)
        kd = self.kd(student, batch, teachers)
        total = self.nll_weight * nll.total + self.kd_weight * kd.total
        return Loss(total, {**nll.parts, **kd.parts})

    def hidden(
        self, student: Sequence[Tensor], teachers: Sequence[Tensor], weights: Tensor, mask: Tensor
    ) -> Loss:
        loss = self.kd.hidden(student, teachers, weights, mask)
        return Loss(self.kd_weight * loss.total, loss.parts)
