"""Run folders as lbkd writes them, without a training."""

import shutil
from pathlib import Path
from typing import Any

from lbkd.config import Settings
from lbkd.models.run_folder import FinishedRun
from lbkd.workspace import write_manifest


def as_run(model: Path, folder: Path, settings: dict[str, Any] | None = None, **provenance: str) -> Path:
    """A finished run with a copy of a model; its folder."""
    shutil.copytree(model, folder / "model")
    write_manifest(folder / "model")
    described(settings, **provenance).write(folder)
    return folder


def described(settings: dict[str, Any] | None = None, **provenance: str) -> FinishedRun:
    """The description of a baseline."""
    return FinishedRun(
        name="baseline",
        task="baseline",
        seconds=1.5,
        components={"task": "baseline"},
        seed=1,
        ranks=1,
        versions={},
        settings=Settings.model_validate(settings or {}),
        provenance=provenance,
    )
