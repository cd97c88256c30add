"""Distillation from the teachers' softened distributions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from lbkd.criterions import Criterion, Loss
from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from lbkd.features.batches import Batch
    from lbkd.models.span import SpanLogits


class Kd(Criterion):
    """Eq. 4: cross-entropy, in nats, of the softened teachers and student, start plus end, times tau squared.

    L = -tau² / N sum_i sum_t p_it log q_it with p = softmax(z_teachers / tau), q = softmax(z_student / tau),
    for the start and for the end, over the real tokens of each window. Mean over examples.

    Args:
        temperature: tau.
    """

    needs_teachers = True

    def __init__(self, temperature: float = 2.0) -> None:
        if not 0 < temperature < math.inf:
            raise ConfigError(f"temperature = {temperature}: must be above 0 and finite.")
        self.temperature = temperature

    def __call__(self, student: SpanLogits, batch: Batch, teachers: SpanLogits | None) -> Loss:
        if teachers is None:
            raise ConfigError("distillation needs teachers: use a task that has some, such as 'distill'.")
        loss = self.between(student.start, teachers.start) + self.between(student.end, teachers.end)
        return Loss(loss, {"kd": loss.detach()})

    def between(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The loss of starts or of ends, (B, L) logits, -inf at padding; a mean over examples."""
        return soft_cross_entropy(student, teacher, self.temperature)


def softened(student: Tensor, teacher: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities of teacher and student, (B, L), 0 at padding; and which positions are padding."""
    padding = student.isneginf()
    log_p, log_q = ((z / temperature).log_softmax(-1).masked_fill(padding, 0.0) for z in (teacher, student))
    return log_p, log_q, padding


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Eq. 4 for starts or for ends, (B, L) logits: mean over examples; positions at -inf contribute 0."""
    p = (teacher / temperature).softmax(-1)
    log_q = (student / temperature).log_softmax(-1)
    return -(p * log_q.masked_fill(log_q.isneginf(), 0.0)).sum(-1).mean() * temperature**2
