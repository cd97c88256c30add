"""Inputs of weightings and criterions, small enough for numbers worked out by hand."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lbkd.contracts.made_up import made_up_batch
from lbkd.features.batches import Batch
from lbkd.weighting import TeacherContext


def context(
    logits: Tensor,
    gold: Sequence[int] | None = None,
    teachers: Sequence[str] = ("en", "es", "de", "fr"),
    passages: Sequence[str] | None = None,
    questions: Sequence[str] | None = None,
) -> TeacherContext:
    """What a weighting is told beside the teachers' logits.

    Args:
        logits: (K, B, L), -inf at padding; the logarithm of probabilities has these for its softmax.
        gold: (B,) labelled positions; by default all 0.
        teachers: names, of which the first K count.
        passages: (B,) languages of the passages; by default all English.
        questions: (B,) languages of the questions; by default all English.
    """
    k, b, _ = logits.shape
    return TeacherContext(
        teachers=tuple(teachers[:k]),
        passage_languages=tuple(passages or ["en"] * b),
        question_languages=tuple(questions or ["en"] * b),
        gold=torch.tensor(gold or [0] * b),
        mask=~logits[0].isneginf(),
    )


def batch(starts: Sequence[int], ends: Sequence[int], mask: Tensor) -> Batch:
    """What a criterion is told beside logits: a batch of B English windows.

    Args:
        starts: (B,) labelled first tokens of the answers; 0 in a window without the answer.
        ends: (B,) labelled last tokens; likewise 0.
        mask: (B, L) bool, False at padding.
    """
    return made_up_batch(starts, ends, mask)
