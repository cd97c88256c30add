"""Two commands at once in one workspace, as two users or two terminals start them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SHORT = ("--set", "training.max_steps=2", "--set", "training.log_every=1")


@pytest.fixture
def shared(tiny_model_folder: Path, two_languages: Sequence[str], tmp_path: Path) -> list[str]:
    """Options of both commands; encoder, packed corpus and token tables are to be made first."""
    workspace = ["--workspace", str(tmp_path / "work")]
    return ["--model", str(tiny_model_folder), "--set", "model.trim=500", *two_languages, *SHORT, *workspace]


def at_once(*commands: Sequence[str]) -> list[str]:
    """Run commands of lbkd side by side, all of which must succeed; what each told on its way."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "lbkd_cli", *command],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    ends = [process.communicate(timeout=200) for process in processes]
    told = [err for _, err in ends]
    assert [process.returncode for process in processes] == [0] * len(commands), told
    return told


def hidden(folder: Path) -> list[Path]:
    """Locks and temporary folders."""
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_two_runs_share_what_both_need(shared: list[str], tmp_path: Path) -> None:
    train = ["train", "--task", "translate-train", *shared]
    at_once([*train, "--lang", "en"], [*train, "--lang", "es"])
    work = tmp_path / "work"
    runs = [work / "runs" / f"translate-train.{language}" for language in ("en", "es")]
    abouts = [json.loads((run / "run.json").read_text()) for run in runs]
    assert abouts[0]["provenance"]["tokenizer"] == abouts[1]["provenance"]["tokenizer"]
    assert len(list((work / "models").iterdir())) == 1
    assert all((run / "eval" / "test.json").exists() for run in runs)
    assert hidden(work) == []


def test_two_students_share_their_teachers(shared: list[str], tmp_path: Path) -> None:
    told = at_once(*(["distill", "--weighting", name, *shared] for name in ("fixed", "impurity")))
    work = tmp_path / "work"
    assert sorted(path.name for path in (work / "runs").iterdir()) == [
        "branch-mrc.en",
        "branch-mrc.es",
        "distill.combined.fixed",
        "distill.combined.impurity",
    ]
    steps = sum(text.count("branch-mrc.en 2/2") for text in told)
    assert steps == 1  # one of both trained the teacher
    assert hidden(work) == []


def test_the_same_run_twice(shared: list[str], tmp_path: Path) -> None:
    command = ["train", "--task", "baseline", *shared]
    told = at_once(command, command)
    assert sum("baseline 2/2" in text for text in told) == 1
    assert sum("baseline: done before, still valid" in text for text in told) == 1
    assert hidden(tmp_path / "work") == []
