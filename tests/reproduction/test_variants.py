"""Rows of one table that differ in their settings."""

from pathlib import Path
from typing import Any

import pytest
from ranks import settings

from lbkd.errors import ConfigError
from lbkd.evaluation.evaluation_set import own_test_set
from lbkd.models.run_folder import read_run
from lbkd.planning.status import workspace_status
from lbkd.project import Project
from lbkd.reproduction.recipe import Row
from lbkd.reproduction.reproduce import complete_table, costs_of, runs_of_rows, training_order
from lbkd.training.schedule import all_windows

QUICK = {"corpus.limit": 2, "corpus.zero_shot": "", "training.max_steps": 1, "model.dropout": 0.0}
RATE = {"training.learning_rate": 3e-4}
ROWS = [
    Row(name="plain", task="distill"),
    Row(name="warm", task="distill", weighting_options={"temperature": 2.0}, against="plain"),
    Row(name="fast", task="distill", settings=RATE, against="plain"),
    Row(
        name="fast, warm",
        task="distill",
        weighting_options={"temperature": 2.0},
        settings={"training": {"learning_rate": 3e-4}},
        against="fast",
    ),
]
PLAIN = ["branch-mrc.en", "branch-mrc.es", "distill.combined.impurity"]
FAST = [f"{name}.training.learning_rate=0.0003" for name in PLAIN]


def project(model: Path, workspace: Path, **over: Any) -> Project:
    return Project(settings(model, workspace, **(QUICK | over)))


@pytest.mark.slow
def test_two_temperatures_and_two_learning_rates_in_one_table(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    """Teachers and stores of a learning rate are shared; a run of it is found done by a second command."""
    one = project(tiny_model_folder, tmp_path)
    runs = training_order(runs_of_rows([one], ROWS))
    warm = "distill.combined.impurity.temperature=2.0"
    assert [run.name for run in runs] == [
        *PLAIN,
        warm,
        *FAST,
        f"{warm}.training.learning_rate=0.0003",
    ]
    assert [run.project.settings.training.learning_rate for run in runs] == [1e-3] * 4 + [3e-4] * 4
    table = complete_table(runs_of_rows([one], ROWS), own_test_set(one))
    assert [entry["row"] for entry in table] == [row.name for row in ROWS]
    assert [bool(entry["gain"]) for entry in table] == [False, True, True, True]
    folders = {path.name for path in (tmp_path / "runs").iterdir()}
    assert folders == {run.name for run in runs}
    assert {path.name for path in (tmp_path / "logits").iterdir()} == {*PLAIN[:2], *FAST[:2]}
    found = read_run(tmp_path / "runs" / FAST[2])
    assert found is not None
    assert found.settings.training.learning_rate == 3e-4
    assert found.provenance["teacher en"] != read_run(tmp_path / "runs" / PLAIN[2]).provenance["teacher en"]  # type: ignore[union-attr]
    assert all(run.done() for run in training_order(runs_of_rows([one], ROWS)))
    assert {each.status for each in workspace_status(tmp_path)} == {"done"}
    costs, _ = costs_of(training_order(runs_of_rows([one], ROWS)), None)
    assert all(cost.done for cost in costs)
    assert f"logits of {FAST[0]}" in {cost.name for cost in costs}


def test_a_row_of_other_texts_windows_and_length(tiny_model_folder: Path, tmp_path: Path) -> None:
    """A setting that a row repeats from the table changes no name; seeds come last."""
    one = project(tiny_model_folder, tmp_path)
    rows = [
        Row(name="same", task="baseline", settings={"training.max_steps": 1}),
        Row(name="less", task="baseline", settings={"corpus.limit": 1}),
        Row(name="short", task="baseline", settings={"model.max_length": 80, "training.max_steps": 2}),
    ]
    [same], [less], [short] = (
        [run for run in each.runs if run.project.settings.seed == 2]
        for each in runs_of_rows([one, one.altered(seed=2)], rows)
    )
    assert same.name == "baseline.seed2"
    assert less.name == "baseline.corpus.limit=1.seed2"
    assert short.name == "baseline.model.max_length=80.training.max_steps=2.seed2"
    questions = [len(run.project.train_corpus.question_ids) for run in (same, less)]
    assert questions[0] > questions[1]
    texts = [(run.project.train_features, run.project.settings) for run in (same, short)]
    longest = [features.lengths(all_windows(features, how)).max() for features, how in texts]
    assert longest[0] > 80 >= longest[1]
    costs, _ = costs_of([same, less, short], None)
    assert [cost.steps for cost in costs] == [1, 1, 2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"training.epoch": 1}, "row 'a': no option 'training.epoch'; did you mean"),
        ({"training.epochs": 0}, "row 'a': training.epochs = '0'"),
        ({"corpus.languages": ["es"]}, "corpus.source is 'en', which is not among"),
    ],
)
def test_settings_that_do_not_fit(
    given: dict[str, Any], message: str, tiny_model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as raised:
        runs_of_rows([project(tiny_model_folder, tmp_path)], [Row(name="a", task="baseline", settings=given)])
    assert message in str(raised.value)
