"""A finished `lbkd run` of a tiny model, and what tests of it share."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ranks import settings

from lbkd.engine import meter
from lbkd.project import Project
from lbkd.training.run import Components
from lbkd.training.steps import run_all
from lbkd.training.steps import train as train_components

STUDENT = "distill.combined.impurity"
MODELS = ["baseline", "branch-mrc.en", "branch-mrc.es", STUDENT]
QUICK = {
    "corpus.limit": 2,
    "corpus.zero_shot": "de",
    "training.max_steps": 2,
    "evaluation.metric": "mlqa",
}


def train(where: Project, task: str, *options: Any, **named: Any) -> Path:
    """Train a task with the components' options in the project's settings."""
    return train_components(where, Components.from_settings(where.settings, task, *options, **named))


def run_everything(where: Project) -> list[dict[str, Any]]:
    """What `lbkd run` does."""
    return run_all(where, Components.from_settings(where.settings, "distill"))


class Notes:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.worked: set[str] = set()

    def note(self, message: str) -> None:
        self.notes.append(message)

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        self.worked.add(what)


def project(model: Path, workspace: Path, **over: Any) -> tuple[Project, Notes]:
    notes = Notes()
    return Project(settings(model, workspace, **(QUICK | over)), notes), notes


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Path -> time of the last change, and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def half_written(workspace: Path) -> list[Path]:
    return [path for path in workspace.rglob(".*")]


@pytest.fixture(scope="session")
def done(
    tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, Any]], Notes]:
    """A workspace in which everything was run, its rows, and what was told."""
    workspace = tmp_path_factory.mktemp("done")
    whole, notes = project(tiny_model_folder, workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter, "matmul_peak", lambda *_: 1e10)
        rows = run_everything(whole)
    return workspace, rows, notes


@pytest.fixture
def copy(done: tuple[Path, list[dict[str, Any]], Notes], tmp_path: Path) -> Path:
    """A copy of that workspace, to be changed."""
    return shutil.copytree(done[0], tmp_path / "workspace")
