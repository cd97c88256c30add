"""The steps from texts to a student.

Each writes down what its result depends on; while that is unchanged, it is not done again.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbkd import tasks
from lbkd.audit.record import read_audit
from lbkd.calibration.calibrate import calibrate_where_possible
from lbkd.distributed import collectives
from lbkd.errors import ConfigError
from lbkd.evaluation.evaluate import evaluate
from lbkd.evaluation.selection import selector
from lbkd.features.tokens import Ints
from lbkd.models.load import load_span_model
from lbkd.models.run_folder import FinishedRun, check_sound, read_run, settings_differences, versions
from lbkd.project import Project
from lbkd.randomness import seed_everything
from lbkd.teachers.store import StoredLogits
from lbkd.tracking.telling import KEPT, tracked, tracked_run
from lbkd.training.check import checked_runs
from lbkd.training.checkpoints import Checkpoints
from lbkd.training.loop import Report, TrainingLoop, Weights
from lbkd.training.masking import masked_stream
from lbkd.training.micro_batches import Material
from lbkd.training.run import Components, Run, teacher_run
from lbkd.training.saving import description, save_run
from lbkd.training.schedule import all_windows
from lbkd.training.teacher_logits import LEARNED, TeacherLogits, audited
from lbkd.training.teacher_stores import stored_logits
from lbkd.training.teachers import OutsideReader
from lbkd.workspace import read_json, remove_abandoned, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRAINING = "training"
"""Name of the folder, inside a run's folder, with the metrics of a training that goes on or failed."""


def train(project: Project, components: Components) -> Path:
    """Train a model; its run folder. Errors are those of `Run.of` and `train_run`."""
    return train_run(Run.of(project, components))


def train_run(run: Run) -> Path:
    """Train a run, and first the teachers that the workspace lacks; its folder.

    A finished run that is still valid is not trained again. A run that was stopped goes on from its last
    checkpoint. While another command trains the run, this one waits, and then finds a finished run.
    """
    with run.project.locked(run.folder):
        return _train_run(run)


def _train_run(run: Run) -> Path:
    project = run.project
    _remove_abandoned(run)
    collectives.raise_on_all_ranks(run.check_replaces_nothing)
    _train_missing(project, run.teachers)
    provenance = run.provenance()
    project.alike(provenance)
    changed = collectives.broadcast_object(run.changed(provenance))
    if changed == "":
        check_sound(run.folder)
        project.listener.note(f"{run.name}: done before, still valid ({run.folder})")
        if project.settings.training.keep_weights and read_audit(run.folder, provenance) is None:
            _keep_weights(run, TeacherLogits.of(run), run.folder, provenance, over=True)
        return run.folder
    if changed:
        project.listener.note(f"{run.name}: trained again, since {changed} changed")
    about, minutes = description(run, provenance), project.settings.training.checkpoint_minutes
    checkpoints = Checkpoints(run.folder / "checkpoints", about, minutes, project.listener)
    teachers = TeacherLogits.of(run, beside=True)
    seed_everything(project.settings.seed)
    model = _span_model(project)
    kept, workspace = run.folder / "checkpoints" / KEPT, project.settings.workspace
    numbers = run.folder / TRAINING
    told = tracked_run(run.name, numbers, workspace, provenance, versions())
    with project.replacing(run.folder) as folder:
        if project.rank == 0:
            shutil.rmtree(numbers, ignore_errors=True)
            numbers.mkdir(parents=True)
        with tracked(project.settings, told, kept, project.listener) as tracking:
            report = Report(run.name, numbers, project.listener, tracking)
            weights = _train_model(run, model, teachers, report, checkpoints)
            if project.rank == 0:
                save_run(run, model, weights, checkpoints.about.after(checkpoints.seconds), folder)
            _keep_weights(run, teachers, folder, provenance)
        if project.rank == 0:
            shutil.copytree(numbers, folder, dirs_exist_ok=True)
    return run.folder


def _remove_abandoned(run: Run) -> None:
    """Remove what a process left that was killed while it put the run in its place."""
    if run.project.rank == 0:
        remove_abandoned(run.folder)


def _keep_weights(
    run: Run, teachers: TeacherLogits | None, folder: Path, provenance: Mapping[str, Any], over: bool = False
) -> None:
    """Keep with a run how its teachers were weighed, where the settings ask for it; every rank calls this.

    Args:
        run: the run, trained.
        teachers: its teachers; None for a run without.
        folder: of the run.
        provenance: all that the run's weights depend on, by name.
        over: the training is over, and the weighting is not the one that it fitted, see `refit`.
    """
    if teachers is None or not run.project.settings.training.keep_weights:
        return
    if over:
        teachers.refit(run.project.train_features, read_json(folder / LEARNED))
    audit = audited(run, teachers)
    if run.project.rank == 0:
        audit.write(folder, provenance)


def _span_model(project: Project) -> "PreTrainedModel":
    model = project.settings.model
    return load_span_model(project.encoder, model.trust_remote_code, model.dropout, layers=model.layers)


def _train_model(
    run: Run,
    model: "PreTrainedModel",
    teachers: TeacherLogits | None,
    report: Report,
    checkpoints: Checkpoints,
) -> Weights:
    """The trained weights, complete on rank 0."""
    project = run.project
    masked = masked_stream(project, run.masking)
    select = selector(project, run.selection, model) if run.selection is not None else None
    material = Material(project.train_features, run.pairs, run.criterion, teachers, masked)
    return TrainingLoop(model, material, project.settings, report, select, checkpoints).train()


def cache_logits(
    project: Project, teacher: tasks.Teacher, windows: Ints | None = None, lengths: Ints | None = None
) -> StoredLogits:
    """One teacher's logits for the windows that the student will read; computed where the store lacks them.

    Args:
        project: texts and encoder.
        teacher: the teacher; one that is no finished reader is trained first if the workspace lacks it.
        windows: (N,) feature ids, ascending; by default those that a student of all pairs learns from, which
            are all where `reads_all` says so.
        lengths: (N,) tokens of each window, where known: teachers' stores share the array.
    """
    if windows is None:
        windows = all_windows(project.train_features, project.settings)
    if teacher.model is not None:
        reader = OutsideReader(project, teacher)
        reader.check()
        return stored_logits(reader.as_teacher(), windows, lengths)
    _train_missing(project, [teacher])
    return stored_logits(teacher_run(project, teacher).as_teacher(), windows, lengths)


def run_all(project: Project, student: Components) -> list[dict[str, Any]]:
    """Train and score everything: baseline, teachers and student; the rows of `results.json`.

    The student's options are the student's alone: baseline and teachers learn with plain NLL. Teachers that
    are finished readers are scored after those that were trained.
    """
    runs = checked_runs(project, student)
    *others, last = [train_run(run) for run in runs]
    calibrate_where_possible(project, last)
    readers = runs[-1].readers.values()
    rows = [
        *(row for model in others for row in evaluate(project, model)),
        *(row for reader in readers for row in evaluate(project, reader.place, answers=reader.answers)),
        *evaluate(project, last),
    ]
    if project.rank == 0:
        write_json(project.settings.workspace / "results.json", rows)
    return rows


def _train_missing(project: Project, teachers: Sequence[tasks.Teacher]) -> None:
    """Train the teachers that the workspace lacks; finished readers are none of them.

    A teacher that is there is taken as it is; one that was trained with other settings is told.
    """
    _ = project.encoder_content  # which the teachers' projects share, once it is there
    runs = {each.name: teacher_run(project, each) for each in teachers if each.model is None}
    found = collectives.broadcast_object({name: read_run(run.folder) for name, run in runs.items()})
    missing = [name for name in runs if found[name] is None]
    if missing:
        lacking = ", ".join(runs[name].folder.name for name in missing)
        project.listener.note(
            f"{project.settings.workspace} lacks the teachers {lacking}: training them first"
        )
    differing: dict[str, list[str]] = {}
    for name, run in runs.items():
        if found[name] is None:
            train_run(run)
            continue
        with project.locked(run.folder):
            _remove_abandoned(run)
        _check_teacher(run, found[name])
        if different := settings_differences(found[name], run.provenance()):
            differing.setdefault(different, []).append(run.name)
    for different, names in differing.items():
        project.listener.note(
            f"teachers trained with another {different} are taken as they are: {', '.join(names)}"
        )


def _check_teacher(run: Run, found: FinishedRun) -> None:
    """Refuse a finished run that cannot be the teacher whose folder it has.

    Raises:
        ConfigError: a run of another task.
        DataError: see `check_sound`.
    """
    if different := settings_differences(found, {"task": run.requested["task"]}):
        raise ConfigError(
            f"{run.folder}: a run with another {different} has the name of a teacher. Rename its folder, or "
            "use another --workspace."
        )
    check_sound(run.folder)
