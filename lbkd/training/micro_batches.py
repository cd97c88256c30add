"""Global batches cut into the micro-batches of one rank, made ready on the host."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from lbkd.criterions import Criterion
from lbkd.engine.division import Division
from lbkd.features.batches import Batch, collate, pinned, share
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints
from lbkd.training.masking import MaskedShare, MaskedStream
from lbkd.training.schedule import Schedule
from lbkd.training.teacher_logits import TeacherLogits


@dataclass(frozen=True)
class Material:
    """What a model learns from, and by which loss."""

    features: FeatureSet
    pairs: list[LanguagePair]
    """(passage language, question language) of the windows."""
    criterion: Criterion
    teachers: TeacherLogits | None = None
    masked: MaskedStream | None = None
    """Windows with masked phrases, for tasks that mask some."""


class MicroBatch(NamedTuple):
    """The windows that one rank reads in one forward pass."""

    batch: Batch
    weight: float
    """Share of the global batch's windows; 0 where the rank has no window of its own."""
    stored: torch.Tensor | None
    """The teachers' logits of the windows, see `TeacherLogits.read`."""
    beside: list[Batch | None]
    """The windows as teachers beside the student read them, see `HiddenTeachers.read`; empty without."""
    masked: MaskedShare | None
    """Windows with masked phrases that go through the encoder in the same pass."""
    lengths: Ints
    """Tokens of each window that counts, the masked ones last."""

    @property
    def masked_tokens(self) -> int:
        """Masked tokens that count."""
        return len(self.masked.batch.labels) if self.masked is not None and len(self.masked.ids) else 0


class StepBatches(NamedTuple):
    """The micro-batches of one rank in one optimizer step."""

    epochs: float
    """Epochs that are done after the step."""
    micro_batches: list[MicroBatch]


def step_batches(
    material: Material, schedule: Schedule, division: Division, done: int, device: torch.device
) -> Iterator[StepBatches]:
    """The rank's micro-batches of every optimizer step but the first `done` ones, on the host.

    Args:
        material: windows, teachers and masked phrases.
        schedule: the order of the global batches.
        division: this rank's part of them.
        done: optimizer steps that a checkpoint holds already.
        device: where the batches will go: memory is pinned for a GPU.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)  # else a thread pins for the first GPU
    masked: Iterable[Iterable[MaskedShare] | None] = itertools.repeat(None)
    if material.masked is not None:
        masked = material.masked.steps(schedule.settings.training.batch_size, division)
    for (epochs, ids), beside in zip(
        schedule.after(done), itertools.islice(masked, done, None), strict=False
    ):
        parts = share(ids, *division)
        masks = list(beside) if beside is not None else [None] * len(parts)
        own = zip(parts, masks, strict=True)
        yield StepBatches(epochs, [_micro_batch(material, part, ids, mask, device) for part, mask in own])


def _micro_batch(
    material: Material, own: Ints, all_ids: Ints, masked: MaskedShare | None, device: torch.device
) -> MicroBatch:
    """One micro-batch; a rank without a window of its own reads one that counts nothing."""
    features = material.features
    batch = collate(features, own if len(own) else all_ids[:1])
    stored, beside = None, list[Batch | None]()
    if material.teachers is not None:
        stored = pinned(material.teachers.read(batch), device)
        if material.teachers.hidden is not None:
            read = material.teachers.hidden.read(batch)
            beside = [each.pinned(device) if each is not None else None for each in read]
    lengths = features.lengths(own)
    if masked is not None:
        lengths = np.concatenate([lengths, features.lengths(masked.ids)])
        masked = masked._replace(batch=masked.batch.pinned(device))
    return MicroBatch(batch.pinned(device), len(own) / len(all_ids), stored, beside, masked, lengths)
