from pathlib import Path

import pytest
from training_fixtures import process_group, small_machine

from lbkd.trackers import TrackedRun

__all__ = ["process_group", "small_machine"]


@pytest.fixture
def run(tmp_path: Path) -> TrackedRun:
    """A run that begins, with a folder in a workspace."""
    folder = tmp_path / "runs" / "student"
    folder.mkdir(parents=True)
    settings = {"task.name": "distill", "training.learning_rate": 1e-5, "model.trim": None}
    return TrackedRun("student", folder, tmp_path, settings)
