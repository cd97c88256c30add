"""The order of a run's batches: a pure function of the settings."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lbkd.config import Settings, TrainingSettings
from lbkd.features.batches import Epoch
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.sampling import Sample
from lbkd.features.tokens import Ints


@dataclass(frozen=True)
class Schedule:
    """The global batches of a run, which depend neither on the number of ranks nor on where a run goes on.

    Args:
        features: the training texts as windows.
        pairs: (passage language, question language) of the windows to learn from.
        settings: batch size, epochs, `max_steps`, `question_languages_per_example` and the seed decide.
    """

    features: FeatureSet
    pairs: Sequence[LanguagePair]
    settings: Settings

    @cached_property
    def steps(self) -> int:
        """Optimizer steps of the run; 0 where there is nothing to learn from."""
        return steps_of(self.settings.training, len(self._first))

    def __iter__(self) -> Iterator[tuple[float, Ints]]:
        """(epochs done after the step, feature ids of its global batch) of every optimizer step."""
        return self.after(0)

    def after(self, step: int) -> Iterator[tuple[float, Ints]]:
        """The batches after the first `step` ones, which are not drawn."""
        return itertools.islice(self._endless(step), max(0, self.steps - step))

    @cached_property
    def windows(self) -> Ints:
        """(N,) feature ids, ascending, of all windows that the run reads."""
        if reads_all(self.settings.training):
            return self.features.features(self.pairs)
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(ids for _, ids in self)]))

    @cached_property
    def _first(self) -> Epoch:
        return self._epoch(0)

    def _endless(self, step: int) -> Iterator[tuple[float, Ints]]:
        for epoch in itertools.count():
            order = self._epoch(epoch) if epoch else self._first
            for n in range(step, len(order)):
                yield epoch + (n + 1) / len(order), order[n]
            step = max(0, step - len(order))

    def _epoch(self, epoch: int) -> Epoch:
        sample = self._sample(epoch)

        def look_up(numbers: Ints) -> tuple[Ints, Ints]:
            ids = sample[numbers]
            return ids, self.features.lengths(ids)

        return Epoch(len(sample), look_up, self.settings.training.batch_size, self.settings.seed, epoch)

    def _sample(self, epoch: int) -> Sample:
        if self.settings.training.question_languages_per_example is None:
            return self._all
        return Sample(
            self.features,
            self.pairs,
            self.settings.training.question_languages_per_example,
            self.settings.seed,
            epoch,
        )

    @cached_property
    def _all(self) -> Sample:
        """All windows, where every epoch reads all of them."""
        return Sample(self.features, self.pairs)


def steps_of(training: TrainingSettings, steps_per_epoch: int) -> int:
    """Optimizer steps of a run; 0 where there is nothing to learn from. A step that is begun counts."""
    if not steps_per_epoch:
        return 0
    return training.max_steps or math.ceil(round(training.epochs * steps_per_epoch, 6))  # 1.1 * 110 is 121


def reads_all(training: TrainingSettings) -> bool:
    """True if a run reads all windows of its language pairs at least once, whatever is drawn at random."""
    whole = training.max_steps is None and training.epochs >= 1
    return whole and training.question_languages_per_example is None


def all_windows(features: FeatureSet, settings: Settings) -> Ints:
    """Feature ids, ascending, of the windows that a student of all language pairs reads."""
    pairs = [(k, j) for k in features.languages for j in features.languages]
    return Schedule(features, pairs, settings).windows
