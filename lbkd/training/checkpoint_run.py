"""A run folder made of a checkpoint: a training that is not finished is scored and asked as a run."""

from pathlib import Path
from typing import Any

from lbkd.engine.engine import saved_weights
from lbkd.errors import ConfigError, DataError, LbkdError
from lbkd.models.load import load_span_model
from lbkd.models.run_folder import FinishedRun, read_run
from lbkd.models.span import SpanModelWith
from lbkd.project import Project
from lbkd.training.run import Components, Run
from lbkd.training.saved_state import read_checkpoint
from lbkd.training.saving import save_run
from lbkd.workspace import differences


def checkpoint_run(project: Project, name: str, step: int) -> Path:
    """The folder `runs/<name>.step-<step>`, made of a checkpoint where it is not there yet, or is of another.

    The model has the weights after that step, also where a training selects among its weights. Every rank
    calls this.

    Args:
        project: with the workspace.
        name: a run that is not finished.
        step: optimizer steps of the checkpoint.

    Raises:
        ConfigError: no such checkpoint, or its encoder or tokenizer has changed since.
        DataError: the checkpoint is damaged, or of another version of lbkd.
        LbkdError: the training has gone on meanwhile, and removed the checkpoint.
    """
    runs = project.settings.workspace / "runs"
    folder, made = runs / name / "checkpoints" / f"step-{step}", runs / f"{name}.step-{step}"
    with project.locked(made):
        if not _made(made, folder):
            _make(project, folder, made)
    return made


def _made(made: Path, folder: Path) -> bool:
    """True if the folder is of the training that the run's own folder is of, as far as that tells."""
    former = read_run(made)
    if former is None:
        return False
    try:
        now = read_checkpoint(folder).run if folder.is_dir() else read_run(folder.parent.parent)
    except (FileNotFoundError, DataError):  # which `_make` tells of
        return False
    return now is None or now.provenance == former.provenance


def _make(project: Project, folder: Path, made: Path) -> None:
    if not folder.is_dir():
        raise ConfigError(f"{folder} does not exist. {_others(folder.parent)}")
    try:
        saved = read_checkpoint(folder)
        weights = saved_weights(folder, saved.zero_stage)
    except FileNotFoundError as error:
        raise LbkdError(f"{folder} was removed meanwhile; the training went on. Take a newer one.") from error
    except DataError as error:
        raise DataError(f"{folder}: {error}. {_others(folder.parent)}") from error
    run = run_again(project, saved.run)
    if changed := differences(_of_the_model(saved.run.provenance), _of_the_model(_now(run))):
        raise ConfigError(f"{folder} cannot be used, since {changed} changed.")
    how = run.project.settings.model
    model = load_span_model(run.project.encoder, how.trust_remote_code, layers=how.layers)
    if run.masking is not None or run.criterion.needs_hidden:
        weights = SpanModelWith.span_weights(weights)
    with project.replacing(made) as new:
        if project.rank == 0:
            save_run(run, model, weights, saved.run.model_copy(update={"name": made.name}), new)


def run_again(project: Project, about: FinishedRun) -> Run:
    """The run that a description is of, by the settings that it was started with.

    Args:
        project: with the workspace.
        about: the description.

    Raises:
        ConfigError: see `Run.of`.
    """
    settings = about.settings.model_copy(update={"workspace": project.settings.workspace})
    own = Project(settings, project.listener)
    own.variant = about.variant
    return Run.of(own, Components(**about.components), about.name)


def _now(run: Run) -> dict[str, Any]:
    own = run.project
    return {**run.settings_provenance(), "model.commit": own.commit, "tokenizer": own.tokenizer_hash}


def _of_the_model(provenance: dict[str, Any]) -> dict[str, Any]:
    """The entries that decide which model the weights belong to."""
    return {name: value for name, value in provenance.items() if name.startswith(("model.", "tokenizer"))}


def _others(checkpoints: Path) -> str:
    """A sentence that names the steps of the checkpoints that there are."""
    steps = sorted(int(path.name.removeprefix("step-")) for path in checkpoints.glob("step-*"))
    if steps:
        return f"Checkpoints of this run: {', '.join(map(str, steps))}."
    return "A run has checkpoints while it is trained; a finished one is the model itself."
