"""How much each teacher counts, per example: one strategy a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lbkd.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


@dataclass(frozen=True)
class TeacherContext:
    """What is known about a batch beside the teachers' logits: K teachers, B examples, L positions."""

    teachers: tuple[str, ...]
    """(K,) names: the language of the teacher's branch, where it has one (see `lbkd.tasks.Teacher`)."""
    passage_languages: tuple[str, ...]
    """(B,)"""
    question_languages: tuple[str, ...]
    """(B,)"""
    gold: Tensor
    """(B,) int64: the labelled position (start or end, whichever the logits are for)."""
    mask: Tensor
    """(B, L) bool: True at real tokens."""


class Weighting(ABC):
    """A strategy; called once for the start and once for the end logits.

    Its constructor's typed arguments are its options (`--set weighting.NAME=VALUE`). An example's weights
    must depend on that example alone, so that they are the same however a batch was put together.
    """

    def check(self, teachers: Sequence[str]) -> None:
        """Refuse, by a ConfigError, teachers (K names) that cannot be weighed, before any is trained."""
        return

    @abstractmethod
    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        """The teachers' weights.

        Args:
            logits: (K, B, L) float32, -inf at padding.
            context: languages, gold positions and mask.

        Returns:
            (K, B), each >= 0, summing to 1 over K.
        """

    def fit(self, examples: Iterable[tuple[Tensor, TeacherContext]]) -> dict[str, float]:
        """Learn from the training data before the student does; by default nothing is read or learned.

        Called once a run, before the first `weights`; on every rank with the same batches in the same order,
        so that all ranks come to the same weights.

        Args:
            examples: batches of the windows that the run sees, as `weights` gets them and in a random order;
                start and end logits take turns. Read from disk as they are asked for, onto the CPU.

        Returns:
            What was learned, by name, for the user to read; empty where that is nothing.
        """
        return {}


registry: Registry[Weighting] = Registry("lbkd.weighting", Weighting)


def aggregate(logits: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
    """Eq. 3: the teachers' logits (K, B, L) summed with `weights` (K, B); -inf at padding, (B, L)."""
    summed = (weights[:, :, None] * logits.masked_fill(~mask, 0.0)).sum(0)
    return summed.masked_fill(~mask, float("-inf"))


def entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of softmax(logits) over the last dimension; positions at -inf count nothing.

    With g the gap to the largest logit, and r the sum of exp(-g) over the other positions: ln(1 + r) plus
    the mean gap. No digits cancel, so that the entropy of a nearly certain teacher is exact too.
    """
    gap = logits.amax(-1, keepdim=True) - logits
    others = (-gap).exp().scatter(-1, logits.argmax(-1, keepdim=True), 0.0)
    rest = others.sum(-1)
    return rest.log1p() + (others * gap.masked_fill(gap.isposinf(), 0.0)).sum(-1) / (1 + rest)
