"""The steps from texts to a student.

Each writes down what its result depends on; while that is unchanged, it is not done again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import lbkd
from lbkd import tasks
from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.errors import ConfigError
from lbkd.evaluation.evaluate import evaluate
from lbkd.features.tokens import Ints
from lbkd.models.load import load_span_model
from lbkd.project import Project, window_settings
from lbkd.teachers.compute import compute_logits
from lbkd.teachers.store import LogitsStore, StoredLogits
from lbkd.training.checkpoints import Checkpoints
from lbkd.training.loop import seed_everything, train_loop
from lbkd.training.masking import masked_stream
from lbkd.training.run import Run, teacher_run
from lbkd.training.schedule import Schedule
from lbkd.training.selection import selector
from lbkd.training.teacher_logits import TeacherLogits
from lbkd.workspace import file_hash, read_json, write_json


def train(
    project: Project,
    task: str,
    options: Mapping[str, Any] | None = None,
    criterion: str | None = None,
    weighting: str = "impurity",
    criterion_options: Mapping[str, Any] | None = None,
) -> Path:
    """Train a model on a task; its run folder. Arguments and errors are those of `Run.of`."""
    return train_run(Run.of(project, task, options, criterion, weighting, criterion_options))


def train_run(run: Run) -> Path:
    """Train a run, and first the teachers that the workspace lacks, unless that was done; its folder.

    A run that was stopped goes on from its last checkpoint.
    """
    project, settings = run.project, run.project.settings
    _train_missing(project, run.teachers)
    provenance = run.provenance()
    project.alike(provenance)
    changed = collectives.broadcast_object(run.changed(provenance))
    name = run.folder.name
    if changed == "":
        project.listener.note(f"{name}: done before, still valid ({run.folder})")
        return run.folder
    if changed:
        project.listener.note(f"{name}: trained again, since {changed} changed")
    teachers = None
    if run.weighting is not None:
        windows = Schedule(project.train_features, run.pairs, settings).windows
        lengths = project.train_features.lengths(windows)
        stores = {who.name: cache_logits(project, who, windows, lengths) for who in run.teachers}
        teachers = TeacherLogits(stores, run.weighting)
    seed_everything(settings.seed)
    model = load_span_model(project.encoder, settings.model.trust_remote_code, settings.model.dropout)
    masked = masked_stream(project, run.masking)
    select = selector(project, run.selection, model) if run.selection is not None else None
    minutes = settings.training.checkpoint_minutes
    checkpoints = Checkpoints(run.folder / "checkpoints", name, provenance, minutes, project.listener)
    with project.replacing(run.folder) as folder:
        weights = train_loop(
            model,
            project.train_features,
            run.pairs,
            run.criterion,
            teachers,
            settings,
            folder,
            name,
            project.listener,
            masked,
            select,
            checkpoints,
        )
        if project.rank == 0:
            torch.nn.Module.to(model, "cpu")
            model.save_pretrained(folder / "model", state_dict=weights)
            project.tokenizer.save_pretrained(folder / "model")
            about = {
                "name": name,
                "task": run.task_name,
                "seconds": round(checkpoints.seconds, 1),
                "seed": settings.seed,
                "ranks": project.world_size,
                "versions": versions(),
                "settings": settings.model_dump(mode="json"),
                "provenance": provenance,
            }
            write_json(folder / "run.json", about)
    return run.folder


def cache_logits(
    project: Project, who: tasks.Teacher, windows: Ints | None = None, lengths: Ints | None = None
) -> StoredLogits:
    """What one teacher says of the windows that the student will see; computed where the store lacks it.

    Args:
        project: texts and encoder.
        who: the teacher; trained first if the workspace lacks it.
        windows: (N,) feature ids, ascending; by default those that a student of all pairs learns from: all,
            unless `max_steps` or `question_languages_per_example` leaves some out.
        lengths: (N,) their tokens, where they are at hand: teachers' stores share them.
    """
    features = project.train_features
    if windows is None:
        pairs = [(k, j) for k in features.languages for j in features.languages]
        windows = Schedule(features, pairs, project.settings).windows
    _train_missing(project, [who])
    run = teacher_run(project, who)
    folder = project.settings.workspace / "logits" / run.folder.name
    store = LogitsStore(folder, windows, features.lengths(windows) if lengths is None else lengths)
    provenance = {
        "corpus": project.train_corpus.fingerprint(),
        "tokenizer": project.tokenizer_hash,
        "window settings": list(window_settings(project.settings.model)),
        "teacher weights": file_hash(run.weights),
        "precision": str(compute_dtype(project.settings.runtime.precision)),
    }
    project.alike(provenance)
    if project.rank == 0:
        changed = store.prepare(provenance)
        if changed:
            project.listener.note(f"{folder}: computed again, since {changed} changed")
    collectives.barrier()
    finished = collectives.broadcast_object(len(store.finished()))
    if finished < store.blocks:
        there = f"{finished} of {store.blocks} blocks are there already"
        project.listener.note(
            f"{run.folder.name}: scoring {len(windows)} windows" + (f" ({there})" if finished else "")
        )
        teacher = load_span_model(str(run.folder / "model"), device=current_device())
        collectives.raise_on_all_ranks(
            lambda: compute_logits(
                teacher,
                features,
                store,
                project.settings.evaluation.batch_tokens,
                rank=project.rank,
                world=project.world_size,
                dtype=compute_dtype(project.settings.runtime.precision),
                progress=lambda done, total: project.listener.progress(
                    f"{run.folder.name} scores", done, total, {}
                ),
            )
        )
    return store.open(provenance)


def run_all(
    project: Project, criterion: str | None = None, weighting: str = "impurity"
) -> list[dict[str, Any]]:
    """Everything: baseline, teachers, their logits, student, and the scores of all; see `results.json`.

    The settings' criterion options are the student's: baseline and teachers learn with plain NLL.
    """
    _ = project.test_corpus  # what is wrong with it is told now, not after the training
    student = Run.of(project, "distill", None, criterion, weighting)
    first = [Run.of(project, "baseline", {}, criterion_options={}), *student.teacher_runs().values()]
    models = [train_run(run) for run in (*first, student)]
    rows = [row for model in models for row in evaluate(project, model)]
    if project.rank == 0:
        write_json(project.settings.workspace / "results.json", rows)
    return rows


def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    from importlib.metadata import version

    names = ("torch", "transformers", "deepspeed", "tokenizers", "numpy")
    return {"lbkd": lbkd.__version__, **{name: version(name) for name in names}}


def _train_missing(project: Project, teachers: Sequence[tasks.Teacher]) -> None:
    """Train the teachers that the workspace lacks.

    A teacher that is there is taken as it is, whatever settings it was trained with.
    """
    runs = {who.name: teacher_run(project, who) for who in teachers}
    found = collectives.broadcast_object(
        {name: read_json(run.folder / "run.json") for name, run in runs.items()}
    )
    missing = [name for name in runs if found[name] is None]
    if missing:
        names = ", ".join(runs[name].folder.name for name in missing)
        project.listener.note(f"{project.settings.workspace} lacks the teachers {names}: training them first")
    for name, run in runs.items():
        if found[name] is None:
            train_run(run)
        elif found[name]["provenance"]["tokenizer"] != project.tokenizer_hash:
            raise ConfigError(
                f"{run.folder}: this teacher reads another tokenizer than the student {project.encoder}, "
                "so that their logits cannot be compared. Train it again with the student's --model, or use "
                "another --workspace."
            )
