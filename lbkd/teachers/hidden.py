"""Last hidden states of teachers that run beside the student."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import TokenTable

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class HiddenTeacher(NamedTuple):
    """A teacher that reads the student's windows at every step."""

    network: "PreTrainedModel"
    """On the device to use."""
    own: FeatureSet | None
    """The student's windows by the teacher's token ids; None: by the student's ids."""


class HiddenTeachers:
    """Teachers beside a student; their weights stay as they are.

    Args:
        teachers: K of them.
        dtype: precision of the forward passes.
    """

    def __init__(self, teachers: Sequence[HiddenTeacher], dtype: torch.dtype) -> None:
        self.teachers, self.dtype = teachers, dtype
        for network in self.networks:
            torch.nn.Module.train(network, False).requires_grad_(False)

    @property
    def networks(self) -> "list[PreTrainedModel]":
        """The K models."""
        return [teacher.network for teacher in self.teachers]

    @property
    def widths(self) -> list[int]:
        """(K,) width of each teacher's hidden states."""
        return [int(network.config.hidden_size) for network in self.networks]

    def read(self, batch: Batch) -> list[Batch | None]:
        """The windows of a batch for each teacher, on the host; None for the batch itself."""
        ids = batch.windows.feature
        return [collate(own, ids) if own is not None else None for _, own in self.teachers]

    @torch.no_grad()
    def states(self, batch: Batch, own: Sequence[Batch | None]) -> list[Tensor]:
        """K times (B, L, H) float32 last hidden states of a batch and its `read` windows."""
        device, found = batch.input_ids.device, []
        half = self.dtype is not torch.float32
        with torch.autocast(device.type, self.dtype) if half else nullcontext():
            for network, mine in zip(self.networks, own, strict=True):
                inputs = (batch if mine is None else mine.to(device)).inputs()
                found.append(network.base_model(**inputs)[0].float())
        return found


def same_tokens(one: FeatureSet, other: FeatureSet) -> bool:
    """True if both have the same windows of a corpus, token for token, whatever the tokens' ids are."""
    frames = [[len(part) for part in (t.first, t.middle, t.last)] for t in (one.template, other.template)]
    return (
        one.rule == other.rule
        and frames[0] == frames[1]
        and all(_cut_alike(table, other.passages[name]) for name, table in one.passages.items())
        and all(_cut_alike(table, other.questions[name]) for name, table in one.questions.items())
    )


def _cut_alike(one: TokenTable, other: TokenTable) -> bool:
    """True if every text has tokens of the same characters in both tables."""
    pairs = (one.rows, other.rows), (one.begins, other.begins), (one.ends, other.ends)
    return all(np.array_equal(*pair) for pair in pairs)
