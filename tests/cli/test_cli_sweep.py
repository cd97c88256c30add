"""`lbkd sweep`: a grid from the command line or a file, and one that is killed and goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.evaluation.significance import holm

TEMPERATURES = "criterion.combined.temperature=1,4"
GRID = ["--weighting", "fixed,impurity", "--set", TEMPERATURES]
NAMES = [f"{weighting} temperature={tau}" for weighting in ("fixed", "impurity") for tau in (1, 4)]
STUDENTS = [
    f"distill.combined.temperature={tau}.{name}" for name in ("fixed", "impurity") for tau in ("1.0", "4.0")
]


@pytest.fixture
def small(tiny_model_folder: Path, two_languages: Sequence[str]) -> list[Any]:
    """Options that keep it small."""
    return ["--model", tiny_model_folder, *two_languages, "--set", "training.max_steps=2"]


def models(steps: Sequence[Any]) -> list[str]:
    """The names of a plan's steps but for teachers and their logits."""
    return [step["name"] for step in steps if not step["name"].startswith(("branch", "logits"))]


def test_what_it_will_cost(lbkd: Callable[..., Any], small: list[Any]) -> None:
    """Teachers are shared by all rows of a seed; nothing is started."""
    steps = lbkd("sweep", *GRID, "--seeds", "1,2", *small, "--dry-run", "--json").json
    teachers = ["branch-mrc.en", "branch-mrc.es"]
    first = [*teachers, *(f"logits of {name}" for name in teachers), *STUDENTS]
    assert sorted(step["name"] for step in steps) == sorted([*first, *(f"{name}.seed2" for name in first)])
    assert not Path("lbkd-work/runs").exists()


def test_a_file_and_options_over_it(lbkd: Callable[..., Any], small: list[Any]) -> None:
    Path("mine.toml").write_text(
        'title = "Mine"\n[grid]\nweighting.name = ["fixed", "margin"]\ntraining.epochs = [1, 2]\n'
        '[[rows]]\nname = "Baseline"\ntask = "baseline"\n',
        encoding="utf-8",
    )

    over = ["--weighting", "agreement", "--task", "distill,mix-mrc", "--set", "training.epochs=3,4"]
    steps = lbkd("sweep", "mine.toml", *over, *small, "--dry-run", "--json").json
    assert models(steps) == [
        "baseline",
        "distill.combined.agreement.training.epochs=3.0",
        "mix-mrc.training.epochs=3.0",
        "distill.combined.agreement.training.epochs=4.0",
        "mix-mrc.training.epochs=4.0",
    ]


def test_one_value_goes_over_a_grid_too(lbkd: Callable[..., Any], small: list[Any]) -> None:
    Path("mine.toml").write_text(
        'title = "Mine"\n[grid]\nweighting.name = ["fixed", "margin"]\ntraining.epochs = [1, 2]\n'
        'corpus.languages = [["en"], ["en", "es"]]\n[[rows]]\nname = "Baseline"\ntask = "baseline"\n',
        encoding="utf-8",
    )
    over = ["--set", "training.epochs=3", "--set", "weighting.name=margin", "--set", "seed=5"]
    found = lbkd("sweep", "mine.toml", *over, *small, "--dry-run", "--json")
    assert models(found.json) == [
        "baseline",
        "distill.combined.margin.training.epochs=3.0",
    ]
    assert "seed = 5 is not used: the seeds are 1 (--seeds)" in found.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["nothing to try", "--weighting fixed,impurity"]),
        (["--weighting", "fixed,impurty"], ["no weighting 'impurty'", "did you mean 'impurity'"]),
        (["--set", "training.epochs=1,x"], ["training.epochs", "'x'"]),
        (["--set", "criterion.combined.temprature=1,2"], ["did you mean 'criterion.combined.temperature'"]),
        (["--set", "evaluation.batch_tokens=1,2"], ["evaluation.batch_tokens", "Give it one value"]),
        (["--set", "trainin.epochs=1,2"], ["no option 'trainin.epochs'", "did you mean 'training'"]),
        (["--set", "model.layers=1,2"], ["nothing to try", "is repeated: --set model.layers=6"]),
        ([*GRID, "--against", "fixd"], ["no row 'fixd'", "did you mean 'fixed'"]),
        ([*GRID, "--seeds", "x"], ["--seeds 'x'"]),
        (
            ["table1", "--weighting", "fixed", "--set", "weighting.margin.temperature=2"],
            ["write them into a recipe"],
        ),
        (["--set", "corpus.test=test,dev"], ["corpus.test: a row may differ in corpus", "what is asked"]),
        ([*GRID, "--seeds", ""], ["--seeds ''", "whole numbers"]),
        (["nowhere.toml", "--weighting", "fixed"], ["no recipe 'nowhere.toml'"]),
    ],
)
def test_refusals(
    refused: Callable[..., str], small: list[Any], arguments: list[str], parts: list[str]
) -> None:
    message = refused("sweep", *arguments, *small)
    assert all(part in message for part in parts), message
    assert not Path("lbkd-work/runs").exists()


def test_texts_to_learn_from_are_an_axis_and_those_to_be_asked_are_not(
    lbkd: Callable[..., Any], refused: Callable[..., str], small: list[Any]
) -> None:
    for name in ("data", "other"):
        shutil.copytree(BUILTIN_CORPUS, name)
    command = ["sweep", "--task", "baseline", "--set", "corpus.dir=data,other", *small]
    Path("other/test.es.json").unlink()
    told = refused(*command)
    assert "all rows are scored on" in told
    assert "other/test.es.json is not there, or another" in told
    assert not Path("lbkd-work/runs").exists()
    shutil.copy("data/test.es.json", "other")
    assert lbkd(*command).code == 0


def test_repeated_options_add_up(lbkd: Callable[..., Any], small: list[Any]) -> None:
    found = lbkd("sweep", "--weighting", "fixed", "--weighting", "margin,ebkd", *small, "--dry-run", "--json")
    students = [name for name in models(found.json) if name.startswith("distill")]
    assert students == [f"distill.combined.{name}" for name in ("fixed", "margin", "ebkd")]


def test_a_finished_run_of_other_settings_is_refused_before_anything_is_trained(
    lbkd: Callable[..., Any], refused: Callable[..., str], small: list[Any]
) -> None:
    assert lbkd("train", "--task", "baseline", *small).code == 0
    more = ["--task", "mix-mrc,baseline", *small, "--set", "training.batch_size=4"]
    assert "baseline holds a finished run with another training.batch_size" in refused("sweep", *more)
    assert [path.name for path in Path("lbkd-work/runs").iterdir()] == ["baseline"]


@pytest.mark.slow
def test_killed_once_it_goes_on_and_trains_nothing_twice(lbkd: Callable[..., Any], small: list[Any]) -> None:
    """Two weightings × two temperatures × two seeds: eight students of four teachers."""
    command = ["sweep", *GRID, "--seeds", "1,2", "--against", "fixed", *small]
    work = Path("lbkd-work")
    process = subprocess.Popen(
        [sys.executable, "-m", "lbkd_cli", *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 400
        while not (work / "runs" / STUDENTS[1] / "run.json").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

    def finished() -> dict[str, int]:
        return {path.parent.name: path.stat().st_mtime_ns for path in work.glob("runs/*/run.json")}

    before = finished()
    assert {"branch-mrc.en", "branch-mrc.es", *STUDENTS[:2]} <= before.keys()
    assert STUDENTS[3] not in before
    shown = lbkd(*command)
    assert shown.code == 0
    teachers = ["branch-mrc.en", "branch-mrc.es"]
    one = [*teachers, *STUDENTS]
    after = finished()
    assert after.keys() == {*one, *(f"{name}.seed2" for name in one)}
    assert {name: after[name] for name in before} == before
    stores = {path.name for path in (work / "logits").iterdir()}
    assert stores == {*teachers, *(f"{name}.seed2" for name in teachers)}
    for name in after:  # two steps each: the second command went on, and did not add to finished runs
        lines = (work / "runs" / name / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines if "loss" in line].count(2) == 1, name

    [file] = work.glob("reproduce/sweep-*.json")
    assert str(file) in shown.err
    entries = json.loads(file.read_text())
    assert [entry["row"] for entry in entries] == NAMES
    rivals = [entry["gain"] and entry["gain"]["against"] for entry in entries]
    assert rivals == [None, None, *NAMES[:2]]
    p = [entry["gain"]["p"] for entry in entries[2:]]
    assert [entry["gain"]["p_holm"] for entry in entries[2:]] == holm(p)
    for entry in entries:
        f1 = [entry["scores"][language]["f1"] for language in ("en", "es", "hi")]
        assert entry["mean"]["f1"] == pytest.approx(sum(f1) / 3)
        assert entry["mean"]["f1_sd"] is not None
    head, *rows, last = shown.out.splitlines()[1:]
    assert head.split()[:4] == ["en", "es", "hi", "mean"]
    assert [row.split("  ")[0] for row in rows] == NAMES
    assert all("Holm" in row for row in rows[2:])
    assert last == "Holm: p (one-sided) corrected for 2 comparisons."
