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
    """Languages, gold positions and mask of a batch: K teachers, B examples, L positions."""

    teachers: tuple[str, ...]
    """(K,) names: the language of the teacher's branch, where it has one (see `lbkd.tasks.Teacher`)."""
    passage_languages: tuple[str, ...]
    """(B,) language of each example's passage."""
    question_languages: tuple[str, ...]
    """(B,) language of each example's question."""
    gold: Tensor
    """(B,) int64: the labelled start or the labelled end, as the logits are for starts or for ends."""
    mask: Tensor
    """(B, L) bool: True at real tokens."""


class Weighting(ABC):
    """How much each teacher counts in each example, for start and end logits separately.

    Subclass requirements:

    - `weights` is implemented. Checked when the class is registered or loaded.
    - The constructor's arguments are typed: they are the options, and `lbkd show weighting NAME` lists them.
      Values are checked against the types before anything is trained; ranges are checked by the constructor.
    - Weights are finite, at least 0, and sum to 1 over the teachers. Checked before and while training.
    - An example's weights depend on that example alone, so that neither the composition of a batch, nor
      padding, nor the number of ranks changes them. Checked before training, on a made-up batch.
    - Arguments stay as they are, and there are no trainable parameters: what is learned, `fit` learns.
    - Permuted teachers have permuted weights, unless `fit` learns something. Checked before training.

    `lbkd.testing.check_weighting` checks all of this on more batches.
    """

    def check(self, teachers: Sequence[str]) -> None:
        """Raise a ConfigError for teachers (K names) that do not fit the options; called before training."""
        return

    @abstractmethod
    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        """The teachers' weights in each example.

        Args:
            logits: (K, B, L) float32 start or end logits, -inf at padding.
            context: languages, gold positions and mask.

        Returns:
            (K, B), each >= 0, with sum 1 over K.
        """

    def fit(self, examples: Iterable[tuple[Tensor, TeacherContext]]) -> dict[str, float]:
        """Learn from the training data; called once per run, on rank 0, before the first `weights`.

        Other ranks, and a run that goes on from a checkpoint, get the attributes of the fitted weighting:
        tensors, numbers, texts, or lists and dicts of these (checked). A copy learns from a made-up batch
        before any teacher is trained. By default nothing is read or learned.

        Args:
            examples: arguments of `weights` for the windows of the run, in random order, start and end logits
                in turn; an iterator that reads from disk onto the CPU.

        Returns:
            Learned numbers by name, for the log; empty if there are none.
        """
        return {}


registry: Registry[Weighting] = Registry("lbkd.weighting", Weighting)


def aggregate(logits: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
    """Eq. 3: sum over teachers of `weights` (K, B) times `logits` (K, B, L): (B, L), -inf at padding."""
    summed = (weights[:, :, None] * logits.masked_fill(~mask, 0.0)).sum(0)
    return summed.masked_fill(~mask, float("-inf"))


def entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of softmax(logits) over the last dimension; positions at -inf contribute 0.

    Computed as ln(1 + r) plus the mean of g, where g is a position's gap to the largest logit and r the sum
    of exp(-g) over the other positions: no digits cancel where a teacher is nearly certain.
    """
    gap = logits.amax(-1, keepdim=True) - logits
    others = (-gap).exp().scatter(-1, logits.argmax(-1, keepdim=True), 0.0)
    rest = others.sum(-1)
    return rest.log1p() + (others * gap.masked_fill(gap.isposinf(), 0.0)).sum(-1) / (1 + rest)
