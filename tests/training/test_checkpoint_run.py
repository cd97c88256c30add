"""Checkpoints that are scored as runs."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest
import torch
from checkpointed import STEPS, Killed, go
from ranks import Ranks, settings
from safetensors.torch import load_file

from lbkd.api.work import asked_questions, export_model, score_models
from lbkd.config import Settings
from lbkd.errors import ConfigError, DataError
from lbkd.inference.exported import Exported
from lbkd.models.run_folder import read_run
from lbkd.planning.status import workspace_status
from lbkd.project import Project
from lbkd.training.checkpoint_run import checkpoint_run
from lbkd.training.loop import TrainingLoop


def go_to_the_last_step(how: Settings, task: str = "mix-mrc") -> None:
    """Die where the last checkpoint is written, and the finished run is not."""
    with mock.patch.object(TrainingLoop, "_check_finite", side_effect=Killed), suppress(Killed):
        go(how, task)


def check_model(how: Settings, never: Settings, task: str) -> None:
    """The last checkpoint's model is that of the run that was never stopped."""
    made = checkpoint_run(Project(how), task, 8)
    assert made == how.workspace / "runs" / f"{task}.step-8"
    runs = made, never.workspace / "runs" / task
    mine, theirs = (load_file(run / "model" / "model.safetensors") for run in runs)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_one_rank(tiny_model_folder: Path, tmp_path: Path, stage: int) -> None:
    more = {"runtime.zero_stage": stage, "training.freeze_embeddings": stage == 3}
    how, never = (settings(tiny_model_folder, tmp_path / n, **STEPS, **more) for n in ("stopped", "never"))
    go(never)
    go_to_the_last_step(how)
    check_model(how, never, "mix-mrc")


@pytest.mark.parametrize(("stage", "task"), [(2, "mix-mrc"), (3, "lakm")])
def test_two_ranks(two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path, stage: int, task: str) -> None:
    """One process makes the run folder of what two ranks wrote."""
    own = tmp_path / "deepspeed.json"
    zero = {"stage": stage, "stage3_param_persistence_threshold": 0}
    own.write_text(json.dumps({"zero_optimization": zero}))
    more = {"runtime.deepspeed": str(own)}
    how, never = (settings(tiny_model_folder, tmp_path / n, **STEPS, **more) for n in ("stopped", "never"))
    two_ranks(go, never, task)
    two_ranks(go_to_the_last_step, how, task)
    check_model(how, never, task)


@pytest.fixture(scope="module")
def stopped(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A run of 8 steps that died after the fifth."""
    how = settings(tiny_model_folder, tmp_path_factory.mktemp("stopped"), **STEPS)
    go(how, dies_after=5)
    return how


def test_it_is_scored_as_a_run(stopped: Settings) -> None:
    project = Project(stopped)
    scores = score_models(project, ["mix-mrc"], asked_questions(project, None, None, None, False), 5)
    assert [(score.model, score.language) for score in scores] == [
        ("mix-mrc.step-5", k) for k in ("en", "es")
    ]
    about = read_run(stopped.workspace / "runs" / "mix-mrc.step-5")
    assert about is not None and about.step == 5 and about.seconds > 0
    states = {each.name: (each.status, each.because) for each in workspace_status(stopped.workspace)}
    assert states["mix-mrc.step-5"] == ("done", "a checkpoint, after step 5")
    assert states["mix-mrc"][0] == "missing"


def test_it_is_exported_as_a_run(stopped: Settings, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra lbkd[onnx]")
    written = export_model(Project(stopped), "mix-mrc", tmp_path / "onnx", False, checkpoint=5)
    assert Exported.read(written.folder).name == "mix-mrc.step-5"


def test_what_is_refused(stopped: Settings) -> None:
    project, there = Project(stopped), r"Checkpoints of this run: 4, 5\."
    with pytest.raises(ConfigError, match=f"step-3 does not exist. {there}"):
        checkpoint_run(project, "mix-mrc", 3)
    with pytest.raises(ConfigError, match="a finished one is the model itself"):
        checkpoint_run(project, "other", 3)
    folder = stopped.workspace / "runs" / "mix-mrc" / "checkpoints" / "step-4"
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"best": 1.0}))
    with pytest.raises(DataError, match=f"step-4: state.json is missing or damaged. {there}"):
        checkpoint_run(project, "mix-mrc", 4)


def test_a_training_that_began_anew(tiny_model_folder: Path, tmp_path: Path) -> None:
    """The same step at another rate is another model; where nothing else is there, the folder stays."""
    project = Project(how := settings(tiny_model_folder, tmp_path, **STEPS))
    go(how, dies_after=4)
    made = checkpoint_run(project, "mix-mrc", 4)
    weights = made / "model" / "model.safetensors"
    before, about = load_file(weights), read_run(made)
    shutil.rmtree(how.workspace / "runs" / "mix-mrc")
    assert checkpoint_run(project, "mix-mrc", 4) == made
    assert read_run(made) == about
    go(settings(tiny_model_folder, tmp_path, **{**STEPS, "training.learning_rate": 1e-2}), dies_after=4)
    checkpoint_run(project, "mix-mrc", 4)
    assert any(not torch.equal(before[name], value) for name, value in load_file(weights).items())
    again = read_run(made)
    checkpoint_run(project, "mix-mrc", 4)
    assert read_run(made) == again != about
