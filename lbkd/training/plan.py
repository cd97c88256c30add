"""Which windows a run learns from, in which order: a pure function of the settings."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lbkd.config import Settings
from lbkd.features.batches import Epoch
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints


@dataclass(frozen=True)
class Plan:
    """The global batches of a run: the same for any number of ranks, and from any step on.

    Args:
        features: the training texts as windows.
        pairs: (passage language, question language) of what is learnt from.
        settings: batch size, epochs, `max_steps`, `pairs_per_passage` and the seed decide.
    """

    features: FeatureSet
    pairs: Sequence[LanguagePair]
    settings: Settings

    @cached_property
    def steps(self) -> int:
        """Optimizer steps of the run; 0 where there is nothing to learn from."""
        training = self.settings.training
        return (training.max_steps or training.epochs * len(self._first)) if len(self._first) else 0

    def __iter__(self) -> Iterator[tuple[float, Ints]]:
        """(epochs done after the step, feature ids of its global batch) of every optimizer step."""
        return itertools.islice(self._endless(), self.steps)

    @cached_property
    def windows(self) -> Ints:
        """(N,) feature ids, ascending, of all windows that the run sees."""
        training = self.settings.training
        if training.max_steps is None and training.pairs_per_passage is None:
            return self.features.features(self.pairs)
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(ids for _, ids in self)]))

    @property
    def first_epoch(self) -> Ints:
        """(N,) feature ids of the first epoch's windows."""
        return self._first.ids

    @cached_property
    def _first(self) -> Epoch:
        return self._epoch(0)

    def _endless(self) -> Iterator[tuple[float, Ints]]:
        for epoch in itertools.count():
            order = self._epoch(epoch) if epoch else self._first
            for n in range(len(order)):
                yield epoch + (n + 1) / len(order), order[n]

    def _epoch(self, epoch: int) -> Epoch:
        sample, seed = self.settings.training.pairs_per_passage, self.settings.seed
        rng = np.random.default_rng([seed, epoch, 1]) if sample else None
        ids = self.features.features(self.pairs, sample, rng)
        return Epoch.of(ids, self.features.lengths(ids), self.settings.training.batch_size, seed, epoch)
