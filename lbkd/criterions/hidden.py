"""Distillation by the last hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lbkd.criterions import Criterion, Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lbkd.features.batches import Batch
    from lbkd.models.span import SpanLogits


class Hidden(Criterion):
    """Mean squared difference of student's and teachers' last hidden states.

    L = 1 / N sum_i sum_k w_ik / (n_i H_k) sum_t |P_k h_it - h_itk|² over the n_i real tokens of each window,
    with student's states h and the states h_k of teacher k, H_k wide. P_k is the identity where the student
    is as wide as the teacher, else a linear layer that learns beside the student and is dropped with the
    teachers. w_ik is the mean of the weights of the teacher's starts and of its ends. Mean over examples.
    Where no layer is between, the gradient is that of the distance to the weighted sum of the states, as
    Eq. 3 has it for logits.

    The states are too large to be stored: the teachers run beside the student, and read its tokens. Alone it
    trains the encoder, and not the head for start and end; `combined` with `kd=hidden` trains both.

    Source: Jiao et al. (2020), TinyBERT, Eq. 8, for one teacher. Deviation: weights, and a bias in P_k.
    """

    needs_teachers = True
    needs_hidden = True

    def __call__(self, student: SpanLogits, batch: Batch, teachers: SpanLogits | None) -> Loss:
        start, end = (z.masked_fill(~batch.mask, 0.0).sum() for z in student)
        return Loss(0 * (start + end))  # the logits count nothing

    def hidden(
        self, student: Sequence[Tensor], teachers: Sequence[Tensor], weights: Tensor, mask: Tensor
    ) -> Loss:
        tokens = mask.sum(-1)
        apart = [
            (mine - theirs).square().mean(-1).masked_fill(~mask, 0.0).sum(-1) / tokens
            for mine, theirs in zip(student, teachers, strict=True)
        ]
        loss = (weights * torch.stack(apart)).sum(0).mean()
        return Loss(loss, {"kd": loss.detach()})
