"""The teachers' logits of a run: stored, combined for one batch, looked at window by window."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from lbkd.audit.observed import observed
from lbkd.audit.record import Audit
from lbkd.audit.sums import Columns, taught
from lbkd.contracts.fitted import Fitted, storable
from lbkd.contracts.weights import WeightsContract
from lbkd.distributed import collectives
from lbkd.distributed.group import rank, world_size
from lbkd.errors import ConfigError
from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.models.span import SpanLogits
from lbkd.teachers.hidden import HiddenTeachers
from lbkd.teachers.store import StoredLogits
from lbkd.training.run import Run
from lbkd.training.schedule import Schedule
from lbkd.training.teacher_stores import opened_logits, stored_logits
from lbkd.training.teachers import hidden_teachers
from lbkd.weighting import TeacherContext, Weighting, aggregate, registry

LEARNED = "weighting.json"
"""File of a run's folder with what its weighting learned."""
Heard = Callable[[int, int], None]
_EXAMPLES = 64
"""Windows of one batch while a weighting is fitted or audited."""


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

    @classmethod
    def of(cls, run: Run, *, score: bool = True, beside: bool = False) -> "TeacherLogits | None":
        """The stored logits of a run's teachers for all windows of the run; None for a run without teachers.

        Every rank calls this.

        Args:
            run: whose teachers are finished.
            score: compute what the stores lack; else a DataError tells of it, see `LogitsStore.open`.
            beside: load the teachers themselves too, if the criterion learns from their hidden states.
        """
        if run.weighting is None:
            return None
        features = run.project.train_features
        windows = Schedule(features, run.pairs, run.project.settings).windows
        lengths = features.lengths(windows)
        teachers = {name: each.as_teacher() for name, each in run.sources().items()}
        at_every_step = [*teachers.values()] if beside and run.criterion.needs_hidden else []
        own = [teacher.same_windows() for teacher in at_every_step]  # refuses a teacher before the scoring
        logits = stored_logits if score else opened_logits
        stores = {name: logits(each, windows, lengths) for name, each in teachers.items()}
        return cls(stores, run.weighting, hidden_teachers(at_every_step, own))

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

    def audit(self, features: FeatureSet, longest: int, heard: Heard = lambda done, total: None) -> Audit:
        """What the teachers said of all stored windows, and how they are weighed; every rank calls this.

        Ranks share the windows in parts that do not depend on their number.

        Args:
            features: the training texts as windows.
            longest: tokens of the longest answer.
            heard: is told how many parts are done, of how many.
        """
        ids = next(iter(self.stores.values())).features
        parts = [ids[at : at + _EXAMPLES] for at in range(0, len(ids), _EXAMPLES)]

        def mine() -> list[dict[str, np.ndarray]]:
            found = []
            for part in parts[rank() :: world_size()]:
                batch = collate(features, part)
                stored = self.read(batch)
                halves = self._halves(batch, stored)
                weights = torch.stack([self.contract.weights(self.weighting, *half) for half in halves])
                found.append(observed(features, batch, stored, weights, longest))
                heard(len(found) * world_size(), len(parts))
            self.contract.look(self.weighting)
            return found

        everyone = collectives.all_gather_objects(collectives.raise_on_all_ranks(mine))
        columns = [part for own in everyone for part in own]
        return Audit.joined(tuple(self.stores), features.languages, longest, columns)

    def taught(self, features: FeatureSet, longest: int) -> list[Columns]:
        """How right the weighted sum of the teachers is about all stored windows, in parts of the windows.

        Args:
            features: the training texts as windows.
            longest: tokens of the longest answer.
        """
        ids = next(iter(self.stores.values())).features
        batches = (collate(features, ids[at : at + _EXAMPLES]) for at in range(0, len(ids), _EXAMPLES))
        return [taught(features, batch, self.logits(batch, self.read(batch)), longest) for batch in batches]

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

    def weighed_by(self, weighting: Weighting, features: FeatureSet) -> "TeacherLogits":
        """The same logits under another weighting, which learns from them if it learns."""
        other = replace(self, weighting=weighting, contract=WeightsContract())
        if fitted := other.fit(features):
            other.take(fitted)
        return other

    def take(self, fitted: Fitted) -> None:
        """Weigh as a weighting that was fitted on another rank, or before a checkpoint."""
        vars(self.weighting).update(fitted.attributes)

    def refit(self, features: FeatureSet, learned: Any) -> None:
        """Weigh as in a training that is over; every rank calls this.

        Args:
            features: the training texts as windows.
            learned: the numbers that the training wrote down of what the weighting learned; None for none.

        Raises:
            ConfigError: the weighting learns something else now; see `fit`.
        """
        fitted = self.fit(features)
        if fitted is None:
            return
        now, before = fitted.learned, learned or {}
        if now.keys() != before.keys() or not np.allclose([*now.values()], [*before.values()], 1e-3, 1e-6):
            raise ConfigError(
                f"{registry.described(self.weighting)}: `fit` learns something else than in the training, so "
                "that its weights are not known. Train the run anew with --set training.keep_weights=true."
            )
        self.take(fitted)

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


def audited(run: Run, teachers: TeacherLogits) -> Audit:
    """What a run's teachers said of its windows, see `TeacherLogits.audit`."""
    project = run.project
    return teachers.audit(
        project.train_features,
        project.settings.evaluation.max_answer_tokens,
        lambda done, total: project.listener.progress(f"{run.name} weighs", done, total, {}),
    )
