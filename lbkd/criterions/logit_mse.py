"""Distillation by the logits themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from lbkd.criterions.kd import Kd


class LogitMse(Kd):
    """Half the mean squared difference of student's and teachers' logits, start plus end.

    L = 1 / N sum_i 1 / (2 n_i) sum_t (z_it - v_it)² over the n_i real tokens of each window, with student's
    logits z and teachers' logits v, each less its mean over those tokens, which changes no softmax. Mean over
    examples. It is what `kd` tends to as tau grows, less a constant: tokens that no answer is near count as
    much as those that matter.

    Source: Ba and Caruana (2014); Hinton et al. (2015), section 2.1, for the limit.
    """

    def __init__(self) -> None:
        super().__init__()

    def between(self, student: Tensor, teacher: Tensor) -> Tensor:
        real = ~student.isneginf()
        tokens = real.sum(-1, keepdim=True)
        z, v = (logits.masked_fill(~real, 0.0) for logits in (student, teacher))
        apart = z - v
        apart = torch.where(real, apart - apart.sum(-1, keepdim=True) / tokens, 0.0)
        return (apart.square().sum(-1, keepdim=True) / tokens).mean() / 2
