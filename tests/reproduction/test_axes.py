"""Which `--set` texts are axes of a grid, and with which values."""

from pathlib import Path
from typing import Any

import pytest

from lbkd.errors import ConfigError
from lbkd.options import is_list
from lbkd.reproduction.axes import axes_of_tables, split_axes


@pytest.mark.parametrize(
    ("sets", "axes"),
    [
        (["training.epochs=3"], {}),
        (["training.epochs=1,2.5,4"], {"training.epochs": [1, 2.5, 4]}),
        (["training.learning_rate=1e-5, 3e-5"], {"training.learning_rate": [1e-5, 3e-5]}),
        (["weighting.name=fixed,impurity"], {"weighting.name": ["fixed", "impurity"]}),
        (["training.freeze_embeddings=true,false"], {"training.freeze_embeddings": [True, False]}),
        (["seed=1", "training.schedule=linear", "seed=2"], {"seed": [1, 2]}),
        (["model.trim=100,", "x.y=1,none"], {"x.y": [1, "none"]}),
        # lists by their type: one value each
        (["corpus.languages=en,es", "model.layers=0,5,11", "corpus.zero_shot=hi,vi"], {}),
        (["task.distill.teachers=en,es", "weighting.fixed.weights={en=1,es=2}"], {}),
        (
            ["corpus.languages=en,es", "corpus.languages=en,es,de"],
            {"corpus.languages": ["en,es", "en,es,de"]},
        ),
        (['task.distill.teachers=["en"]', 'task.distill.teachers=["en","es"]'],
         {"task.distill.teachers": [["en"], ["en", "es"]]}),
        (["training.adam_betas=[0.9,0.98]"], {}),
        # commas inside of a text
        (['corpus.dir="a,b"'], {}),
        (['corpus.dir="a,b","c"'], {"corpus.dir": ["a,b", "c"]}),
        # components and options that do not exist: told where rows are made
        (["weighting.nobody.x=1,2"], {"weighting.nobody.x": [1, 2]}),
        (["training.epoch=1,2"], {"training.epoch": [1, 2]}),
    ],
)  # fmt: skip
def test_axes(sets: list[str], axes: dict[str, Any]) -> None:
    found, rest = split_axes(sets)
    assert found == axes
    assert rest == [text for text in sets if text.partition("=")[0] not in axes]


def test_one_value_replaces_those_of_a_grid() -> None:
    sets = ["training.epochs=3", "weighting.name=fixed", "training.batch_size=8"]
    found, rest = split_axes(sets, {"training.epochs": [1, 2], "weighting.name": ["margin"]})
    assert found == {"training.epochs": [3], "weighting.name": ["fixed"]}
    assert rest == ["training.batch_size=8"]


def test_what_is_no_setting() -> None:
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        split_axes(["training.epochs"])


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (list[str], True),
        (tuple[int, ...] | None, True),
        (dict[str, float], True),
        (set, True),
        (str, False),
        (bytes, False),
        (Path | None, False),
        (int | str, False),
        (Any, False),
    ],
)
def test_lists(kind: Any, known: bool) -> None:
    assert is_list(kind) is known


def test_tables_of_a_recipe() -> None:
    tables = {
        "weighting": {"name": ["fixed", "impurity"], "fixed": {"weights": [{"en": 1.0}, {"en": 2.0}]}},
        "training.epochs": 2,
    }
    assert axes_of_tables(tables) == {
        "weighting.name": ["fixed", "impurity"],
        "weighting.fixed.weights": [{"en": 1.0}, {"en": 2.0}],
        "training.epochs": [2],
    }
