"""Distillation by the divergence the other way round."""

from __future__ import annotations

from torch import Tensor

from lbkd.criterions.kd import Kd, softened


class ReverseKl(Kd):
    """KL(student‖teachers) in nats of the softened distributions, start plus end, times tau squared.

    L = tau² / N sum_i sum_t q_it (log q_it - log p_it) with p = softmax(z_teachers / tau) and
    q = softmax(z_student / tau) over the real tokens of each window; 0 where student and teachers agree. Mean
    over examples. The student is punished for probability where the teachers have none, and not for leaving
    out what they consider: it settles on one of several answers, where `kd` covers all.

    Source: Gu et al. (2024), MiniLLM, there for sequences.

    Args:
        temperature: tau.
    """

    def between(self, student: Tensor, teacher: Tensor) -> Tensor:
        log_p, log_q, padding = softened(student, teacher, self.temperature)
        q = log_q.exp().masked_fill(padding, 0.0)
        return (q * (log_q - log_p)).sum(-1).mean() * self.temperature**2
