"""Losses on start and end logits, masked tokens and hidden states: one criterion per file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbkd.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lbkd.features.batches import Batch
    from lbkd.models.span import SpanLogits


@dataclass(frozen=True)
class Loss:
    """The loss of a batch and its parts."""

    total: Tensor
    """Scalar to minimize: a mean over the batch's examples, or over tokens for masked tokens."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Unweighted summands of the total by name, detached scalars, for the log."""


class Criterion(ABC):
    """A loss on start and end logits.

    Subclass requirements:

    - `__call__` is implemented. Checked when the class is registered or loaded.
    - The constructor's arguments are typed: they are the options, and `lbkd show criterions NAME` lists them.
      Values are checked against the types before anything is trained; ranges are checked by the constructor.
    - `needs_teachers` and `needs_masks` tell what the task must provide. Checked against the task before
      anything is trained. With `needs_masks`, `masked` is implemented too; with `needs_hidden`, which goes
      with `needs_teachers` and not with `needs_masks`, `hidden` is.
    - The total is a float32 scalar with a gradient: a mean over examples, in which padding (-inf) counts
      nothing. Checked before training, on a made-up batch.
    - Arguments stay as they are, and there are no trainable parameters. Checked before training.

    `lbkd.testing.check_criterion` checks the last two on more batches.
    """

    needs_teachers: bool = False
    """True if the criterion learns from teachers' logits: for tasks with teachers only."""
    needs_masks: bool = False
    """True if the criterion learns from masked tokens (method `masked`): for tasks that mask only."""

    needs_hidden: bool = False
    """True if the criterion learns from teachers' last hidden states (method `hidden`): every step then costs
    a forward pass of each teacher, which runs beside the student."""

    @abstractmethod
    def __call__(self, student: SpanLogits, batch: Batch, teachers: SpanLogits | None) -> Loss:
        """The loss of a batch.

        Args:
            student: float32 start and end logits, each (B, L), -inf at padding.
            batch: labels (B,) and mask (B, L).
            teachers: start and end logits of all teachers, weighted and summed (Eq. 3), each (B, L); None
                for a task without teachers.
        """

    def masked(self, logits: Tensor, labels: Tensor) -> Loss:
        """The loss of masked tokens, a mean over tokens, which is added to the loss of the batch.

        Args:
            logits: (M, V) float32 over the vocabulary; M may be 0.
            labels: (M,) original tokens.
        """
        raise NotImplementedError(f"{type(self).__name__} has needs_masks, but no method masked")

    def hidden(
        self, student: Sequence[Tensor], teachers: Sequence[Tensor], weights: Tensor, mask: Tensor
    ) -> Loss:
        """The loss of last hidden states, a mean over examples, which is added to the loss of the batch.

        Args:
            student: for each of K teachers, the student's (B, L, H) float32 states at the teacher's width H:
                as they are where widths are equal, else through a linear layer that is trained with them.
            teachers: K times (B, L, H) float32; like the student's, they have numbers at padding.
            weights: (K, B) float32, mean of the weights of the teachers' starts and ends; 1 in sum over K.
            mask: (B, L) bool, False at padding.
        """
        raise NotImplementedError(f"{type(self).__name__} has needs_hidden, but no method hidden")


registry: Registry[Criterion] = Registry("lbkd.criterions", Criterion)
