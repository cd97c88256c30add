"""The teachers' logits of a run: stored, combined for one batch, looked at window by window."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lbkd.audit.observed import observed
from lbkd.audit.record import Audit
from lbkd.contracts.fitted import Fitted, storable
from lbkd.contracts.weights import WeightsContract
from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.distributed.group import rank, world_size
from lbkd.errors import ConfigError
from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.features.windows import window_settings
from lbkd.models.span import SpanLogits
from lbkd.teachers.carrying import VERSION, Unread
from lbkd.teachers.compute import Share, compute_logits
from lbkd.teachers.store import LogitsStore, StoredLogits
from lbkd.training.run import Run
from lbkd.training.schedule import Schedule
from lbkd.training.teachers import TeacherModel
from lbkd.weighting import TeacherContext, Weighting, aggregate, registry

LEARNED = "weighting.json"
"""File of a run's folder with what its weighting learned."""
Heard = Callable[[int, int], None]
_EXAMPLES = 64
"""Windows of one batch while a weighting is fitted or audited."""


@dataclass
class TeacherLogits:
    """K teachers' stored logits, and the strategy that weighs them."""

    stores: Mapping[str, StoredLogits]
    """Name of the teacher (see `tasks.Teacher`) -> its logits for every window."""
    weighting: Weighting
    contract: WeightsContract = field(default_factory=WeightsContract)
    """What the weights were, to be looked at now and then."""

    @classmethod
    def of(cls, run: Run, *, score: bool = True) -> "TeacherLogits | None":
        """The stored logits of a run's teachers for all windows of the run; None for a run without teachers.

        Every rank calls this.

        Args:
            run: whose teachers are finished.
            score: compute what the stores lack; else a DataError tells of it, see `LogitsStore.open`.
        """
        if run.weighting is None:
            return None
        features = run.project.train_features
        windows = Schedule(features, run.pairs, run.project.settings).windows
        lengths = features.lengths(windows)
        logits = stored_logits if score else _opened
        stores = {name: logits(each.as_teacher(), windows, lengths) for name, each in run.sources().items()}
        return cls(stores, run.weighting)

    def read(self, batch: Batch) -> torch.Tensor:
        """Each teacher's stored start and end logits: (2, K, B, L) float32 on the host, -inf at padding."""
        width = batch.input_ids.shape[1]
        read = [store.read(batch.windows.feature, width) for store in self.stores.values()]
        return torch.from_numpy(np.stack([np.stack(half) for half in zip(*read, strict=True)]))

    def logits(self, batch: Batch, stored: torch.Tensor) -> SpanLogits:
        """Eq. 3 for a batch and its `read` logits: (B, L) start and end logits, -inf at padding."""
        return SpanLogits(
            *(
                aggregate(logits, self.contract.weights(self.weighting, logits, context), context.mask)
                for logits, context in self._halves(batch, stored)
            )
        )

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


def stored_logits(teacher: TeacherModel, windows: Ints, lengths: Ints | None) -> StoredLogits:
    """The logits of a finished teacher; computed where its store lacks them."""
    project = teacher.project
    store, provenance = logits_store(teacher, windows, lengths)
    project.alike(provenance)
    with project.locked(store.folder):
        _complete_store(teacher, store, provenance)
        return store.open(provenance)


def _opened(teacher: TeacherModel, windows: Ints, lengths: Ints | None) -> StoredLogits:
    """The logits of a finished teacher that are there; see `LogitsStore.open`."""
    store, provenance = logits_store(teacher, windows, lengths)
    return store.open(provenance)


def _complete_store(teacher: TeacherModel, store: LogitsStore, provenance: dict[str, Any]) -> None:
    """Compute the blocks that a teacher's store lacks; a store of other provenance is dropped first.

    What a teacher with tokens of its own does not read of the windows is told.
    """
    project = teacher.project
    if project.rank == 0:
        changed = store.prepare(provenance)
        if changed:
            project.listener.note(f"{store.folder}: computed again, since {changed} changed")
    collectives.barrier()
    finished = collectives.broadcast_object(len(store.finished()))
    if finished < store.blocks:
        there = f"{finished} of {store.blocks} blocks are there already"
        project.listener.note(
            f"{teacher.name}: scoring {len(store.features)} windows" + (f" ({there})" if finished else "")
        )
        windows, model = teacher.windows(), teacher.network()
        if teacher.reading is not None:
            project.listener.note(
                f"{teacher.name}: reads other tokens than the student; its logits are carried over"
            )
        torch.nn.Module.to(model, current_device())
        counts = collectives.raise_on_all_ranks(
            lambda: compute_logits(
                model,
                windows,
                store,
                project.settings.evaluation.batch_tokens,
                share=Share(project.rank, project.world_size),
                dtype=compute_dtype(project.settings.runtime.precision),
                progress=lambda done, total: project.listener.progress(
                    f"{teacher.name} scores", done, total, {}
                ),
            )
        )
        if lost := str(Unread.total(collectives.all_gather_objects(counts))):
            project.listener.note(f"{teacher.name}: {lost}")


def logits_store(
    teacher: TeacherModel, windows: Ints, lengths: Ints | None = None
) -> tuple[LogitsStore, dict[str, Any]]:
    """The store of a teacher's logits for some windows, and what the logits depend on, by name.

    Args:
        teacher: the finished teacher.
        windows: (N,) feature ids, ascending.
        lengths: (N,) tokens of each window, where known.
    """
    project = teacher.project
    folder = project.settings.workspace / "logits" / teacher.name
    if lengths is None:
        lengths = project.train_features.lengths(windows)
    provenance: dict[str, Any] = {
        "corpus": project.train_corpus.fingerprint(),
        "tokenizer": project.tokenizer_hash,
        "window settings": list(window_settings(project.settings.model)),
        "teacher weights": teacher.content,
        "precision": str(compute_dtype(project.settings.runtime.precision)),
    }
    if teacher.reading is not None:
        tokenizer, longest = teacher.reading.tokenizer, teacher.reading.longest
        provenance["teacher's tokens"] = {"tokenizer": tokenizer, "longest": longest, "version": VERSION}
    return LogitsStore(folder, windows, lengths), provenance


def audited(run: Run, teachers: TeacherLogits) -> Audit:
    """What a run's teachers said of its windows, see `TeacherLogits.audit`."""
    project = run.project
    return teachers.audit(
        project.train_features,
        project.settings.evaluation.max_answer_tokens,
        lambda done, total: project.listener.progress(f"{run.name} weighs", done, total, {}),
    )
