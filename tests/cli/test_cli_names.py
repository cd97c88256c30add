"""Runs with names of their own: trained, refused, shown, scored and asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_two_learning_rates_beside_each_other(
    lbkd: Callable[..., Any], refused: Callable[..., str], short: list[Any], student: Any, workspace: Path
) -> None:
    before = (workspace / "runs/distill.combined.impurity/model/model.safetensors").read_bytes()
    fast = [*short, "--set", "training.learning_rate=3e-4"]
    message = refused("distill", *fast)
    assert "holds a finished run with another training.learning_rate." in message
    assert "--overwrite" in message
    assert "--name" in message
    done = lbkd("distill", *fast, "--name", "fast")
    assert done.code == 0
    told = "another training.learning_rate are taken as they are: branch-mrc.en, branch-mrc.es"
    assert done.err.count(told) == 1
    assert done.out.splitlines()[0] == f"model: {workspace}/runs/fast/model"
    assert (workspace / "runs/distill.combined.impurity/model/model.safetensors").read_bytes() == before
    assert json.loads((workspace / "runs/fast/run.json").read_text())["name"] == "fast"

    again = lbkd("distill", *fast, "--name", "fast", "--json")
    assert f"fast: done before, still valid ({workspace}/runs/fast)" in again.err
    scores = lbkd("evaluate", "distill.combined.impurity", "fast", *short)
    assert [line.split()[0] for line in scores.out.splitlines()[1:3]] == ["distill.combined.impurity", "fast"]
    assert lbkd("evaluate", "fast", *short, "--json").json == again.json["scores"]
    found = {(row["kind"], row["name"]): row for row in lbkd("status", *short[-6:-4], "--json").json}
    assert found["run", "fast"]["status"] == "done", found
    asked = ["--question", "Who?", "--passage", "Ada wrote it.", *short[-6:-4]]
    assert lbkd("predict", "--model", "fast", *asked).code == 0
    message = refused("distill", *short, "--name", "fast")
    assert "runs/fast holds a finished run with another training.learning_rate." in message
    message = refused("train", "--task", "baseline", *fast, "--name", "fast")
    assert "holds a finished run with another criterion.name" in message


@pytest.mark.parametrize("name", ["a/b", "", "..", "-x", "my run"])
def test_names_that_no_folder_can_have(refused: Callable[..., str], short: list[Any], name: str) -> None:
    message = refused("train", "--task", "baseline", *short, f"--name={name}")
    assert f"{name!r} is no name of a run" in message
