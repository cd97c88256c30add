"""Losses: one a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbkd.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from lbkd.features.batches import Batch
    from lbkd.models.span import SpanLogits


@dataclass(frozen=True)
class Loss:
    """What a criterion says of a batch."""

    total: Tensor
    """Scalar to minimize: a mean over the batch's examples."""
    examples: int
    """How many that is a mean of."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Named scalars that the total is made of, unweighted, for the log."""


class Criterion(ABC):
    """A loss on start and end logits. Its constructor's typed arguments are its options."""

    needs_teachers: bool = False
    """Whether it can be used only where teachers' logits are at hand."""
    needs_masks: bool = False
    """Whether it learns from masked tokens too, by `masked`; it goes with tasks that mask some, only."""

    @abstractmethod
    def __call__(self, student: SpanLogits, batch: Batch, teachers: SpanLogits | None) -> Loss:
        """The loss of a batch.

        Args:
            student: (B, L) float32 start and end logits, -inf at padding.
            batch: labels (B,) and mask (B, L).
            teachers: (B, L) the teachers' logits, weighted and summed (Eq. 3); None where there are none.
        """

    def masked(self, logits: Tensor, labels: Tensor) -> Loss:
        """The loss of masked tokens in other windows, to be added to the batch's.

        `examples` are tokens here: the total, and each part, is a mean over them. Who adds up the shares of
        several ranks and micro-batches weighs each by its tokens.

        Args:
            logits: (M, V) float32, over the vocabulary; M may be 0.
            labels: (M,) the true tokens.
        """
        raise NotImplementedError(f"{type(self).__name__} has needs_masks, but no method masked")


registry: Registry[Criterion] = Registry("lbkd.criterions", Criterion)
