"""Runs that were stopped and went on, beside runs that never were."""

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from checkpointed import STEPS, Killed, check_same_run, go, kept, logged
from processes import killed_after
from ranks import Ranks, settings
from safetensors.torch import load_file

from lbkd.config import Settings
from lbkd.errors import ConfigError, LbkdError
from lbkd.training import loop
from lbkd.training.teacher_logits import TeacherLogits
from lbkd.weighting.learned import Learned
from lbkd.workspace import read_json, write_json


@pytest.fixture(scope="module")
def whole(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one rank that was never stopped, and never saved a checkpoint."""
    how = settings(
        tiny_model_folder, tmp_path_factory.mktemp("whole"), **STEPS | {"training.checkpoint_minutes": 0}
    )
    with mock.patch("lbkd.training.checkpoints.torch.save", side_effect=AssertionError("nothing to save")):
        go(how)
    return how.workspace / "runs" / "mix-mrc"


@pytest.fixture
def how(tiny_model_folder: Path, tmp_path: Path) -> Settings:
    return settings(tiny_model_folder, tmp_path, **STEPS)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Where the run of `how` lies."""
    return tmp_path / "runs" / "mix-mrc"


@pytest.mark.slow
def test_a_killed_command_goes_on(how: Settings, run: Path, tmp_path: Path) -> None:
    """Processes of their own: whatever ran in the tests' process before may move a number's last bit."""
    sets = how.model_dump(mode="json", include={"corpus", "model", "training"}, exclude_none=True)
    words = [
        word
        for section, values in sets.items()
        for name, value in values.items()
        for word in ("--set", f"{section}.{name}={json.dumps(value)}")
    ]

    def trained(workspace: Path, before: str = "") -> subprocess.CompletedProcess[str]:
        script = f"{before}\nfrom lbkd_cli.main import main\nmain()"
        command = [sys.executable, "-c", script, "train", "--task", "mix-mrc", "--workspace", str(workspace)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run([*command, *words], env=environment, stderr=subprocess.PIPE, text=True)

    assert trained(tmp_path, killed_after(4)).returncode == -signal.SIGKILL
    assert kept(run) == ["step-3", "step-4"]
    done = trained(tmp_path)
    assert done.returncode == 0
    assert "mix-mrc: going on after step 4 of 8 (checkpoint of 20" in done.stderr
    assert trained(tmp_path / "whole").returncode == 0
    check_same_run(run, tmp_path / "whole" / "runs" / "mix-mrc")
    assert not (run / "checkpoints").exists()
    assert "still valid" in go(how)[0]


def test_two_newest_are_kept_and_a_damaged_one_is_passed_over(how: Settings, run: Path, whole: Path) -> None:
    go(how, dies_after=5)
    assert kept(run) == ["step-4", "step-5"]
    [file] = (run / "checkpoints" / "step-5" / "deepspeed").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    half = run / "checkpoints" / ".new" / "deepspeed"
    half.mkdir(parents=True)
    (half / file.name).write_bytes(content[:1000])
    with mock.patch.object(loop.Checkpoints, "after_step"):
        first, second = go(how, dies_after=0)
    damaged = f"deepspeed/{file.name} is missing or damaged"
    assert first == f"mix-mrc: not going on from {run}/checkpoints/step-5, since {damaged}"
    assert second.startswith("mix-mrc: going on after step 4 of 8")
    assert kept(run) == ["step-4", "step-5"]  # the half-written one is gone
    go(how, dies_after=1)
    assert kept(run) == ["step-4", "step-5"]
    assert "going on after step 5" in go(how)[0]
    check_same_run(run, whole)


def test_what_does_not_fit_is_not_taken_up(how: Settings, run: Path, tmp_path: Path) -> None:
    go(how, dies_after=2)
    training = how.training.model_copy(
        update={"learning_rate": 2e-3, "log_every": 2, "checkpoint_minutes": 9}
    )
    newer, older = go(how.model_copy(update={"training": training}), dies_after=2)
    since = "since training.learning_rate changed"
    assert newer == f"mix-mrc: not going on from {run}/checkpoints/step-2, {since}"
    assert older == f"mix-mrc: not going on from {run}/checkpoints/step-1, {since}"
    assert kept(run) == ["step-1", "step-2"]  # should the setting have been a mistake
    training = training.model_copy(update={"checkpoint_minutes": 1e-9})
    go(how.model_copy(update={"training": training}), dies_after=1)
    assert kept(run) == ["step-1"]


class Attack:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("name", ["deepspeed/mp_rank_00_model_states.pt", "random-0.pt"])
def test_nothing_in_a_checkpoint_is_run(how: Settings, run: Path, tmp_path: Path, name: str) -> None:
    """Not even where its manifest was made to fit."""
    go(how, dies_after=1)
    folder = run / "checkpoints" / "step-1"
    torch.save(Attack(tmp_path / "made"), folder / name)
    manifest = read_json(folder / "MANIFEST.json")
    write_json(
        folder / "MANIFEST.json", {name: about for name, about in manifest.items() if name == "state.json"}
    )
    with pytest.raises(
        LbkdError, match=r"step-1 cannot be taken up \(UnpicklingError; .* Remove .*checkpoints to"
    ):
        go(how)
    assert not (tmp_path / "made").exists()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(folder / name)


def test_the_best_weights_so_far_go_on(how: Settings, tmp_path: Path) -> None:
    """Three epochs of two steps, of which the second is made to be the best; stopped after five steps."""
    seen: list[dict[str, torch.Tensor]] = []

    def judge(weights: dict[str, torch.Tensor]) -> float:
        seen.append(weights)
        return [10.0, 30.0, 20.0][len(seen) - 1]

    training = how.training.model_copy(update={"max_steps": 6, "select_on": "train"})
    how = how.model_copy(update={"training": training})
    with mock.patch("lbkd.training.steps.selector", lambda *_: judge):
        go(how, "baseline", dies_after=5)
        notes = go(how, "baseline")
    assert len(seen) == 3
    assert [note.split("baseline: ")[1][:12] for note in notes] == ["going on aft", "F1 20.00 on "]
    run = tmp_path / "runs" / "baseline"
    weights = load_file(run / "model" / "model.safetensors")
    assert all(torch.equal(weights[name], tensor) for name, tensor in seen[1].items())
    lines = logged(run)
    told = [(line["step"], line["selection_f1"]) for line in lines if "selection_f1" in line]
    assert told == [(2, 10.0), (4, 30.0), (6, 20.0)]


def test_a_fitted_weighting_goes_on(tiny_model_folder: Path, tmp_path: Path) -> None:
    over = {"weighting.name": "learned", "training.max_steps": 4, "training.keep_weights": True}
    how = settings(tiny_model_folder, tmp_path, **STEPS | over)
    go(how, "distill")
    run = tmp_path / "runs" / "distill.combined.learned"
    never = run.rename(tmp_path / "never")
    go(how, "distill", dies_after=2)
    with mock.patch.object(Learned, "fit", side_effect=AssertionError("fitted again")):
        notes = go(how, "distill")
    assert "going on after step 2 of 4" in notes[0]
    assert "the weighting learned" in notes[1]
    check_same_run(run, never)
    for name in ("weighting.json", "audit.npz", "audit.json"):
        assert (run / name).read_bytes() == (never / name).read_bytes()


class Odd(Learned):
    def fit(self, examples: Iterable[Any]) -> dict[str, float]:
        self.odd = lambda: 1
        return {}


def test_a_weighting_that_no_checkpoint_can_hold_is_refused() -> None:
    told = r"weighting test_checkpoints\.Odd: checkpoints cannot hold its attributes .*odd"
    with pytest.raises(ConfigError, match=told):
        TeacherLogits({}, Odd()).fit(mock.Mock())


def test_a_run_that_was_stopped_at_its_end(how: Settings, run: Path, whole: Path) -> None:
    """After the last step, before the model was saved."""
    with mock.patch("lbkd.training.steps.save_run", side_effect=Killed), pytest.raises(Killed):
        go(how)
    assert "going on after step 8 of 8" in go(how)[0]
    check_same_run(run, whole)


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """No file of this process can be larger, in bytes."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def go_with_a_small_disk(how: Settings, rank: str, size: int) -> list[str]:
    with small_disk(size) if os.environ["RANK"] == rank else nullcontext():
        return go(how)


def test_a_full_disk_ends_no_training(how: Settings, run: Path, whole: Path) -> None:
    """The model has 600 kB, a checkpoint three times that."""
    with small_disk(1_000_000):
        notes = go(how)
    assert len(notes) == 8
    assert notes[0].startswith(f"mix-mrc: no checkpoint after step 1: {run}/checkpoints cannot be written (")
    assert notes[0].endswith("); the training goes on")
    check_same_run(run, whole)


@pytest.mark.parametrize(("stage", "task"), [(0, "mix-mrc"), (2, "mix-mrc"), (3, "lakm")])
def test_two_ranks_go_on(
    two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path, stage: int, task: str
) -> None:
    """Each with random numbers of its own and, from stage 1 on, its own part of the optimizer's state."""
    own = tmp_path / "deepspeed.json"
    zero = {"stage": stage, "stage3_param_persistence_threshold": 0}
    own.write_text(json.dumps({"zero_optimization": zero}))
    more = {"runtime.deepspeed": str(own), "training.freeze_embeddings": stage == 2}
    how, never = (
        settings(tiny_model_folder, tmp_path / name, **STEPS, **more) for name in ("stopped", "never")
    )
    if stage == 2:  # whose second rank cannot write its part
        notes, _ = two_ranks(go_with_a_small_disk, never, "1", 10_000)
        assert [note.split(":")[1] for note in notes] == [
            f" no checkpoint after step {n}" for n in range(1, 9)
        ]
    else:
        two_ranks(go, never, task)
    two_ranks(go, how, task, 3)
    notes, nothing = two_ranks(go, how, task)
    assert "going on after step 3 of 8" in notes[-1]
    assert nothing == []
    check_same_run(how.workspace / "runs" / task, never.workspace / "runs" / task)
