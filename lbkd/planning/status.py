"""The state of a workspace: which runs and which teachers' logits are done, stale, damaged or missing."""

from dataclasses import dataclass
from pathlib import Path

from lbkd.config import Settings
from lbkd.errors import DataError, LbkdError
from lbkd.features.tokens import Ints
from lbkd.models.run_folder import check_sound, read_run
from lbkd.project import Project
from lbkd.training.run import Components, Run
from lbkd.training.schedule import Schedule, all_windows
from lbkd.training.teacher_stores import logits_store
from lbkd.training.teachers import OutsideReader
from lbkd.workspace import fingerprint


@dataclass(frozen=True)
class Status:
    """State of a run, or of a teacher's logits."""

    kind: str
    """`run` or `logits`."""
    name: str
    """Name of the folder."""
    status: str
    """done: valid. stale: something that the result depends on has changed. damaged: a file is not what was
    written. missing: another run needs the result, or a run was stopped before its end."""
    because: str = ""
    """Names of what has changed, or a message."""


def workspace_status(workspace: Path) -> list[Status]:
    """The state of every run and store in a workspace, and of those that its runs lack.

    A run is held against the settings that it was trained with, as they would be applied now. Nothing is
    trained or scored.
    """
    runs = _Runs(workspace)
    folders = [path for path in (workspace / "runs").glob("[!.]*") if path.is_dir()]
    found = {("run", folder.name): runs.status(folder) for folder in sorted(folders)}
    for run in runs.readable.values():
        for teacher in run.sources().values():
            if isinstance(teacher, Run):
                missing = Status("run", teacher.name, "missing", f"a teacher of {run.name}")
                found.setdefault(("run", teacher.name), missing)
            if teacher.there:
                windows = Schedule(run.project.train_features, run.pairs, run.project.settings).windows
                status = _store_status(teacher, windows)
                key = "logits", teacher.name
                if key not in found or status.status == "done":  # one of several students may fit
                    found[key] = status
    for folder in sorted((workspace / "logits").glob("[!.]*")):
        if ("logits", folder.name) not in found and folder.name in runs.readable:
            teacher = runs.readable[folder.name]
            windows = all_windows(teacher.project.train_features, teacher.project.settings)
            found["logits", folder.name] = _store_status(teacher, windows)
    return [found[key] for key in sorted(found, key=lambda key: (key[0] == "logits", key[1]))]


class _Runs:
    """The runs of a workspace, made again from their `run.json`."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.readable: dict[str, Run] = {}
        """Name -> run, for undamaged runs whose texts and encoder are at hand."""
        self._projects: dict[str, Project] = {}

    def status(self, folder: Path) -> Status:
        """The state of the run in a folder."""
        try:
            about = read_run(folder)
            if about is None:
                return Status("run", folder.name, "missing", "not finished: the same command goes on")
            check_sound(folder)
            if about.step is not None:
                return Status("run", folder.name, "done", f"a checkpoint, after step {about.step}")
        except DataError as error:
            return Status("run", folder.name, "damaged", str(error))
        try:
            project = self._project(about.settings)
            project.variant = about.variant
            run = self.readable[folder.name] = Run.of(project, Components(**about.components), folder.name)
            lacking = [name for name, teacher in run.sources().items() if not teacher.there]
            if lacking:
                return Status("run", folder.name, "stale", f"teachers are missing: {', '.join(lacking)}")
            changed = run.changed(run.provenance())
        except LbkdError as error:
            return Status("run", folder.name, "stale", str(error))
        return Status("run", folder.name, "stale" if changed else "done", changed or "")

    def _project(self, settings: Settings) -> Project:
        """A project of these settings; those of one corpus and encoder share texts and tokens."""
        settings = settings.model_copy(update={"workspace": self.workspace})
        parts = settings.corpus.model_dump(), settings.model.model_dump(), settings.training.select_on
        key = fingerprint(parts)
        if key not in self._projects:
            self._projects[key] = Project(settings)
            _ = self._projects[key].train_features
        return self._projects[key].altered(**dict(settings))


def _store_status(teacher: Run | OutsideReader, windows: Ints) -> Status:
    """The state of a teacher's logits for the windows of a student."""
    try:
        store, provenance = logits_store(teacher.as_teacher(), windows)
    except LbkdError as error:
        return Status("logits", teacher.name, "stale", str(error))
    changed = store.changed(provenance)
    if changed is None:
        return Status("logits", teacher.name, "missing", "not computed, or removed")
    if changed:
        return Status("logits", teacher.name, "stale", changed)
    try:
        store.open(provenance)
    except DataError as error:
        return Status("logits", teacher.name, "damaged", str(error))
    return Status("logits", teacher.name, "done")
