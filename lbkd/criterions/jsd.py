"""Distillation by the divergence from the middle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lbkd.criterions.kd import Kd, softened


class Jsd(Kd):
    """Jensen-Shannon divergence in nats of the softened distributions, start plus end, times tau squared.

    L = tau² / N sum_i [KL(p_i‖m_i) + KL(q_i‖m_i)] / 2 with p = softmax(z_teachers / tau),
    q = softmax(z_student / tau) and m = (p + q) / 2 over the real tokens of each window; 0 where student and
    teachers agree, at most tau² ln 2 for the start and for the end. Mean over examples. Bounded, so that a
    window on which the teachers are sure and the student is not moves it less than `kd`.

    Source: Lin (1991); for distillation Agarwal et al. (2024), GKD, with beta = 1/2.

    Args:
        temperature: tau.
    """

    def between(self, student: Tensor, teacher: Tensor) -> Tensor:
        log_p, log_q, padding = softened(student, teacher, self.temperature)
        log_m = torch.logaddexp(log_p, log_q) - math.log(2)
        parts = (log.exp().masked_fill(padding, 0.0) * (log - log_m) for log in (log_p, log_q))
        return sum(parts, torch.zeros_like(log_m)).sum(-1).mean() / 2 * self.temperature**2
