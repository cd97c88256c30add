"""The stores of the teachers' logits: opened, and filled where they lack some."""

from typing import Any

import torch

from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.features.tokens import Ints
from lbkd.features.windows import window_settings
from lbkd.teachers.carrying import VERSION, Unread
from lbkd.teachers.compute import Share, compute_logits
from lbkd.teachers.store import LogitsStore, StoredLogits
from lbkd.training.teachers import TeacherModel


def stored_logits(teacher: TeacherModel, windows: Ints, lengths: Ints | None) -> StoredLogits:
    """The logits of a finished teacher; computed where its store lacks them."""
    project = teacher.project
    store, provenance = logits_store(teacher, windows, lengths)
    project.alike(provenance)
    with project.locked(store.folder):
        _complete_store(teacher, store, provenance)
        return store.open(provenance)


def opened_logits(teacher: TeacherModel, windows: Ints, lengths: Ints | None) -> StoredLogits:
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
