"""The rows of grids: which there are, what they are called, and what they are compared with."""

import re
from pathlib import Path
from typing import Any

import pytest
from ranks import settings

from lbkd.errors import ConfigError
from lbkd.project import Project
from lbkd.reproduction.grid import expanded
from lbkd.reproduction.recipe import Recipe, Row, read_recipe
from lbkd.reproduction.reproduce import distinct, runs_of_rows, training_order
from lbkd.settings import load_settings

TEMPERATURES = "criterion.combined.temperature"


def rows(grid: dict[str, list[Any]], against: str | None = None, **over: Any) -> dict[str, Row]:
    """Row's name -> row of a recipe with a grid alone, for settings."""
    recipe = Recipe(title="t", grid=grid, against=against)
    return {row.name: row for row in expanded(recipe, load_settings(over)).rows}


def test_every_combination_is_a_row() -> None:
    found = rows({"weighting.name": ["fixed", "confidence"], TEMPERATURES: [1, 2.5]})
    assert list(found) == [
        "fixed temperature=1",
        "fixed temperature=2.5",
        "confidence temperature=1",
        "confidence temperature=2.5",
    ]
    last = found["confidence temperature=2.5"]
    assert (last.task, last.criterion, last.weighting) == ("distill", "combined", "confidence")
    assert (last.criterion_options, last.weighting_options) == ({"temperature": 2.5}, {})
    assert {row.against for name, row in found.items() if name != "fixed temperature=1"} == {
        "fixed temperature=1"
    }
    assert found["fixed temperature=1"].against is None


def test_options_count_where_their_component_is_used() -> None:
    """A temperature of impurity is nothing to fixed, a weighting nothing to a task without teachers."""
    found = rows(
        {
            "task.name": ["mix-mrc", "distill"],
            "weighting.name": ["fixed", "impurity"],
            "weighting.impurity.temperature": [1.0, 2.0],
        }
    )
    assert list(found) == [
        "mix-mrc",
        "distill fixed",
        "distill impurity temperature=1.0",
        "distill impurity temperature=2.0",
    ]
    assert found["mix-mrc"].criterion == "nll"
    assert found["distill impurity temperature=2.0"].weighting_options == {"temperature": 2.0}


def test_settings_and_sets_of_teachers() -> None:
    found = rows({"task.distill.teachers": [["en"], ["en", "es"]], "training.epochs": [1, 2]})
    assert list(found)[:2] == ["teachers=en epochs=1", "teachers=en epochs=2"]
    assert found["teachers=en+es epochs=2"].options == {"teachers": ["en", "es"]}
    assert found["teachers=en+es epochs=2"].settings == {"training.epochs": 2}


def test_keys_that_end_alike_are_longer() -> None:
    found = rows({TEMPERATURES: [1, 2], "weighting.impurity.temperature": [1, 3]})
    assert list(found)[:2] == [
        "combined.temperature=1 impurity.temperature=1",
        "combined.temperature=1 impurity.temperature=3",
    ]
    found = rows({TEMPERATURES: [1], "criterion.kd.temperature": [1], "criterion.name": ["combined", "kd"]})
    assert list(found) == ["combined", "kd"]


def test_equal_values_are_one_row() -> None:
    assert list(rows({"weighting.name": ["fixed", "fixed", "margin"]})) == ["fixed", "margin"]
    assert list(rows({TEMPERATURES: [2, 2.0, 4]})) == ["temperature=2", "temperature=4"]
    assert list(rows({"weighting.name": ["margin"]})) == ["margin"]


@pytest.mark.parametrize(
    ("against", "rivals"),
    [
        ("impurity temperature=1", ["impurity temperature=1"] * 2 + [None, "impurity temperature=1"]),
        ("fixed", [None, None, "fixed temperature=1", "fixed temperature=4"]),
        ("temperature=4", ["fixed temperature=4", None, "impurity temperature=4", None]),
        (None, [None] + ["fixed temperature=1"] * 3),
    ],
)
def test_one_row_or_its_like_for_each(against: str | None, rivals: list[str | None]) -> None:
    """Values in part: the row with these values that is alike otherwise."""
    found = rows({"weighting.name": ["fixed", "impurity"], TEMPERATURES: [1, 4]}, against)
    assert [row.against for row in found.values()] == rivals


def test_rows_of_its_own_come_first(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        """
title = "t"
[grid]
weighting.name = ["fixed", "margin"]
weighting.margin.temperature = [1, 2]
[[rows]]
name = "Lewis"
[[rows]]
name = "mixMRC"
task = "mix-mrc"
""",
        encoding="utf-8",
    )
    recipe = read_recipe(str(path))
    found = expanded(recipe, load_settings()).rows
    assert [row.name for row in found] == [
        "Lewis",
        "mixMRC",
        "fixed",
        "margin temperature=1",
        "margin temperature=2",
    ]
    assert [row.against for row in found] == [None, None, *["mixMRC"] * 3]
    chosen = expanded(recipe.model_copy(update={"against": "fixed"}), load_settings()).rows
    assert [row.against for row in chosen] == [None] * 3 + ["fixed"] * 2
    again = recipe.model_copy(update={"rows": [Row(name="fixed", task="mix-mrc")]})
    with pytest.raises(ConfigError, match="two rows are called 'fixed'"):
        expanded(again, load_settings())


def test_components_and_options_of_the_settings_hold_for_the_grid() -> None:
    over: dict[str, Any] = {
        "weighting.name": "margin",
        "weighting.margin.temperature": 0.5,
        "criterion.name": "kd",
    }
    [one, two] = rows({"training.epochs": [1, 2]}, None, **over).values()
    assert (one.weighting, one.weighting_options, one.criterion) == ("margin", {"temperature": 0.5}, "kd")
    assert two.name == "epochs=2"


@pytest.mark.parametrize(
    ("grid", "against", "message"),
    [
        ({"evaluation.metric": ["mlqa", "squad-v1"]}, None, "metric: rows of a grid may differ in corpus"),
        ({"seed": [1, 2]}, None, "seed: .* Seeds are --seeds"),
        ({"training.epoch": [1, 2]}, None, "the grid: no option 'training.epoch'; did you mean"),
        ({"training.epochs": [1, 0]}, None, "the grid: training.epochs = '0'"),
        ({"weighting.name": ["fixed", "impurty"]}, None, "no weighting 'impurty'; did you mean 'impurity'"),
        ({"weighting.margin.temperature": [1, 2]}, None, "temperature: no row of the grid uses it"),
        ({"weighting.margn.temperature": [1, 2]}, None, "no weighting 'margn'; did you mean 'margin'"),
        ({"weighting.name": ["fixed", "margin"]}, "fixd", "no row 'fixd'; did you mean 'fixed'"),
        ({"weighting.name": ["fixed", "margin"]}, " ", "no row ' '"),
        ({"corpus.train": ["1", 1]}, None, "corpus.train = 1: must be a text"),
        ({"corpus.limit": ["2", 2]}, None, "the grid has limit=2 twice"),
    ],
)  # fmt: skip
def test_refusals(grid: dict[str, list[Any]], against: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rows(grid, against)


def test_rows_that_mean_the_same_are_one(tiny_model_folder: Path, tmp_path: Path) -> None:
    """A default value spelt out, and a row of the recipe's own; comparisons go to the one that is kept."""
    one = Project(settings(tiny_model_folder, tmp_path))
    recipe = Recipe(
        title="t",
        rows=[Row(name="Ours", task="distill")],
        grid={"weighting.name": ["impurity", "fixed"], TEMPERATURES: [2, "2", 4]},
        against="impurity temperature=4",
    )
    with pytest.raises(ConfigError, match="temperature=2 twice"):
        expanded(recipe, one.settings)
    recipe = recipe.model_copy(
        update={"grid": recipe.grid | {TEMPERATURES: [2, 4]}, "against": "temperature=2"}
    )
    made = runs_of_rows([one, one.altered(seed=2)], expanded(recipe, one.settings).rows)
    assert len(made) == 5
    kept = distinct(made)
    assert {each.row.name: each.row.against for each in kept} == {
        "Ours": None,
        "impurity temperature=4": "Ours",
        "fixed temperature=2": None,
        "fixed temperature=4": "fixed temperature=2",
    }
    orders = [[run.name for run in training_order(rows)] for rows in (kept, made)]
    assert orders[0] == orders[1]


def test_invalid_options_are_told_before_anything_starts(tiny_model_folder: Path, tmp_path: Path) -> None:
    one = Project(settings(tiny_model_folder, tmp_path))
    for grid, message in (
        ({TEMPERATURES: [1, "x"]}, "criterion.combined.temperature"),
        ({"criterion.combined.temprature": [1, 2]}, "did you mean 'criterion.combined.temperature'"),
        ({"task.distill.teachers": [["en"], ["fr"]]}, "no training language 'fr'"),
    ):
        with pytest.raises(ConfigError, match=message):
            runs_of_rows([one], expanded(Recipe(title="t", grid=grid), one.settings).rows)


def test_the_file_of_the_page(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "sweep.md"
    [example] = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    (tmp_path / "grid.toml").write_text(example, encoding="utf-8")
    recipe = read_recipe(str(tmp_path / "grid.toml"))
    found = expanded(recipe, load_settings(recipe.settings)).rows
    assert [found[0].name, found[1].name] == ["mixMRC", "fixed temperature=1 teachers=en+es"]
    assert len(found) == 1 + 3 * 2 * 2
    assert {row.against for row in found[1:]} == {"mixMRC"}
