"""Combines the teachers' stored logits for one batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from lbkd.contracts.fitted import Fitted, storable
from lbkd.contracts.weights import WeightsContract
from lbkd.distributed import collectives
from lbkd.distributed.group import rank
from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.models.span import SpanLogits
from lbkd.teachers.hidden import HiddenTeachers
from lbkd.teachers.store import StoredLogits
from lbkd.weighting import TeacherContext, Weighting, aggregate, registry

_EXAMPLES = 64
"""Windows of one batch while a weighting is fitted."""


class Weighed(NamedTuple):
    """K teachers' logits, weighed and summed, and the weights."""

    logits: SpanLogits
    """Eq. 3: (B, L) start and end logits, -inf at padding."""
    weights: list[torch.Tensor]
    """(K, B) of the starts, and of the ends."""


@dataclass
class TeacherLogits:
    """K teachers' stored logits, and the strategy that weighs them."""

    stores: Mapping[str, StoredLogits]
    """Name of the teacher (see `tasks.Teacher`) -> its logits for every window."""
    weighting: Weighting
    hidden: HiddenTeachers | None = None
    """The teachers themselves, in the same order, for criterions of hidden states."""
    contract: WeightsContract = field(default_factory=WeightsContract)
    """What the weights were, to be looked at now and then."""

    def read(self, batch: Batch) -> torch.Tensor:
        """Each teacher's stored start and end logits: (2, K, B, L) float32 on the host, -inf at padding."""
        width = batch.input_ids.shape[1]
        read = [store.read(batch.windows.feature, width) for store in self.stores.values()]
        return torch.from_numpy(np.stack([np.stack(half) for half in zip(*read, strict=True)]))

    def logits(self, batch: Batch, stored: torch.Tensor) -> SpanLogits:
        """Eq. 3 for a batch and its `read` logits: (B, L) start and end logits, -inf at padding."""
        return self.weighed(batch, stored).logits

    def weighed(self, batch: Batch, stored: torch.Tensor) -> Weighed:
        """The logits of a batch and its `read` logits, with the weights."""
        halves = list(self._halves(batch, stored))
        weights = [self.contract.weights(self.weighting, *half) for half in halves]
        summed = (
            aggregate(logits, each, batch.mask) for (logits, _), each in zip(halves, weights, strict=True)
        )
        return Weighed(SpanLogits(*summed), weights)

    def fit(self, features: FeatureSet) -> Fitted | None:
        """Let the weighting learn from the stored logits; None for a weighting that learns nothing.

        Rank 0 fits the weighting: ranks weigh alike, whatever a strategy draws at random or leaves to the
        order of sums.

        Raises:
            ConfigError: attributes that a checkpoint cannot hold.
        """
        if type(self.weighting).fit is Weighting.fit:
            return None

        def fitted() -> Fitted | None:
            if rank() != 0:
                return None
            with registry.told(self.weighting, "`fit`"):
                learned = self.weighting.fit(self._examples(features))
            return Fitted(storable(self.weighting), learned)

        found: Fitted = collectives.broadcast_object(collectives.raise_on_all_ranks(fitted))
        return found

    def take(self, fitted: Fitted) -> None:
        """Weigh as a weighting that was fitted on another rank, or before a checkpoint."""
        vars(self.weighting).update(fitted.attributes)

    def _examples(self, features: FeatureSet) -> Iterator[tuple[torch.Tensor, TeacherContext]]:
        """All stored windows in one fixed random order, so that the first batches are a sample of all."""
        ids = next(iter(self.stores.values())).features
        order = np.random.default_rng(0).permutation(len(ids))
        for at in range(0, len(ids), _EXAMPLES):
            batch = collate(features, ids[np.sort(order[at : at + _EXAMPLES])])
            yield from self._halves(batch, self.read(batch))

    def _halves(self, batch: Batch, stored: torch.Tensor) -> Iterator[tuple[torch.Tensor, TeacherContext]]:
        """The teachers' (K, B, L) start logits, then their end logits, each with the context of the batch."""
        halves = stored.to(batch.input_ids.device, non_blocking=True)
        for logits, gold in zip(halves, (batch.starts, batch.ends), strict=True):
            yield (
                logits,
                TeacherContext(
                    tuple(self.stores), batch.passage_languages, batch.question_languages, gold, batch.mask
                ),
            )
