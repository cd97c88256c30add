"""What the teachers say of a batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.models.span import SpanLogits
from lbkd.teachers.store import StoredLogits
from lbkd.weighting import TeacherContext, Weighting, aggregate

_EXAMPLES = 64
"""Windows of a batch that a weighting learns from."""


@dataclass(frozen=True)
class Teachers:
    """K teachers' stored logits, and how to weigh them."""

    stores: Mapping[str, StoredLogits]
    """Name of the teacher (see `tasks.Teacher`) -> what it said of every window."""
    weighting: Weighting

    def logits(self, batch: Batch) -> SpanLogits:
        """Eq. 3 for a batch: (B, L) start and end logits, -inf at padding."""
        return SpanLogits(
            *(
                aggregate(logits, self.weighting.weights(logits, context), context.mask)
                for logits, context in self._halves(batch)
            )
        )

    def fit(self, features: FeatureSet) -> dict[str, float]:
        """Let the weighting learn from all that is stored, the same on every rank; what it learned."""
        return self.weighting.fit(self._examples(features))

    def _examples(self, features: FeatureSet) -> Iterator[tuple[torch.Tensor, TeacherContext]]:
        """All stored windows in a random order that is always the same: the first ones stand for all."""
        ids = next(iter(self.stores.values())).features
        order = np.random.default_rng(0).permutation(len(ids))
        for at in range(0, len(ids), _EXAMPLES):
            yield from self._halves(collate(features, ids[np.sort(order[at : at + _EXAMPLES])]))

    def _halves(self, batch: Batch) -> Iterator[tuple[torch.Tensor, TeacherContext]]:
        """(K, B, L) start, then end logits of the teachers, and what is known about the batch."""
        width = batch.input_ids.shape[1]
        read = [store.read(batch.windows.feature, width) for store in self.stores.values()]
        for half, gold in enumerate((batch.starts, batch.ends)):
            logits = torch.from_numpy(np.stack([r[half] for r in read])).to(batch.input_ids.device)
            yield (
                logits,
                TeacherContext(
                    tuple(self.stores), batch.passage_languages, batch.question_languages, gold, batch.mask
                ),
            )
