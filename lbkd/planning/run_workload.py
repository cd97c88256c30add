"""Windows and tokens that a whole training run reads, over all its epochs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lbkd.config import Settings, TrainingSettings
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints
from lbkd.planning.workload import Texts, Workload
from lbkd.training.schedule import Schedule, steps_of


@dataclass(frozen=True)
class RunWorkload:
    """Windows and optimizer steps of a training run."""

    steps: int
    """Optimizer steps."""
    epochs: int
    """Epochs, a last one that is cut short included."""
    read: Workload
    """All windows, over all epochs."""
    distinct: Workload
    """Each window once: the windows that a teacher of the run must score."""


def counted_workload(features: FeatureSet, pairs: Sequence[LanguagePair], settings: Settings) -> RunWorkload:
    """Count the windows of a run's own batches, one batch after another."""
    schedule = list(Schedule(features, pairs, settings))
    batches = [ids for _, ids in schedule]
    read = np.concatenate([np.zeros(0, dtype=np.int64), *batches])
    return RunWorkload(
        steps=len(batches),
        epochs=math.ceil(schedule[-1][0]) if schedule else 0,
        read=_workload_of(features, read),
        distinct=_workload_of(features, np.unique(read)),
    )


def expected_workload(texts: Texts, pairs: Sequence[LanguagePair], training: TrainingSettings) -> RunWorkload:
    """Compute the windows that a run is expected to read; exact unless windows are drawn at random."""
    drawn = texts.epoch(pairs, training.question_languages_per_example)
    whole = texts.epoch(pairs)
    steps_per_epoch = math.ceil(drawn.windows / training.batch_size)
    steps = steps_of(training, steps_per_epoch)
    epochs = steps / steps_per_epoch if steps_per_epoch else 0.0
    # A last epoch that is cut short shows a part of its windows; each epoch draws anew.
    full, rest = divmod(epochs, 1)
    share = drawn.windows / whole.windows if whole.windows else 0.0
    seen = 1 - (1 - share) ** full * (1 - rest * share)
    return RunWorkload(
        steps=steps,
        epochs=math.ceil(epochs),
        read=drawn * epochs,
        distinct=whole * seen,
    )


def _workload_of(features: FeatureSet, ids: Ints) -> Workload:
    """Count the windows with the given feature ids."""
    lengths = features.lengths(ids)
    return Workload(
        pairs=int((features.windows(ids).number == 0).sum()),
        windows=len(ids),
        tokens=int(lengths.sum()),
        squares=int((lengths**2).sum()),
        longest=int(np.max(lengths, initial=0)),
    )
