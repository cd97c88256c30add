"""A criterion for lbkd, in a package of its own."""

import torch
from torch import Tensor

from lbkd import Criterion
from lbkd.criterions import Loss
from lbkd.errors import ConfigError


class MixedTargets(Criterion):
    """Cross-entropy, in nats, of the student with a mixture of the gold answer and the teachers' answer.

    L = -1/N sum_i sum_t ((1 - a) [t = gold_i] + a p_it) log q_it, start plus end; p and q are softmaxes of
    the teachers' and the student's logits over the real tokens of a window.

    Args:
        share: a, the teachers' share.
    """

    needs_teachers = True

    def __init__(self, share: float = 0.5) -> None:
        if not 0 <= share <= 1:
            raise ConfigError(f"share = {share}: must be from 0 to 1.")
        self.share = share

    def __call__(self, student, batch, teachers):  # type: ignore[no-untyped-def]
        start = self._end(student.start, batch.starts, teachers.start)
        end = self._end(student.end, batch.ends, teachers.end)
        return Loss(start + end, {"start": start.detach(), "end": end.detach()})

    def _end(self, student: Tensor, gold: Tensor, teachers: Tensor) -> Tensor:
        """The loss for starts or for ends: (B, L), (B,), (B, L) -> a scalar."""
        target = torch.zeros_like(teachers).scatter(1, gold[:, None], 1.0)
        target = (1 - self.share) * target + self.share * teachers.softmax(-1)
        log_q = student.log_softmax(-1)
        return -(target * log_q.masked_fill(log_q.isneginf(), 0.0)).sum(-1).mean()  # -inf times 0 is nan
