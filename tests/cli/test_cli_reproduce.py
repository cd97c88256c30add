import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lbkd_cli.laboratory import reproduce

from lbkd.reproduction.recipe import read_recipe

RECIPE = """
title = "Small"
columns = ["en", "es"]
[settings]
training.max_steps = 2
[[rows]]
name = "Baseline"
task = "baseline"
paper = { en = [63.4, 77.3] }
[[rows]]
name = "mixMRC"
task = "mix-mrc"
against = "Baseline"
"""


@pytest.fixture
def small(tiny_model_folder: Path) -> list[Any]:
    """Options that keep it small; the recipe lies in the current folder."""
    Path("small.toml").write_text(RECIPE, encoding="utf-8")
    few = ["--set", "corpus.limit=2", "--set", "corpus.zero_shot="]
    return ["small.toml", "--model", tiny_model_folder, "--languages", "en,es", *few]


def test_a_table(lbkd: Callable[..., Any], small: list[Any]) -> None:
    plan = lbkd("reproduce", *small, "--dry-run")
    assert plan.code == 0
    assert [line.split()[:2] for line in plan.out.splitlines()[1:3]] == [["baseline", "2"], ["mix-mrc", "2"]]
    assert not Path("lbkd-work/runs").exists()
    done = lbkd("reproduce", *small, "--seeds", "1,2,1")
    title, head, baseline, paper, mixed = done.out.splitlines()
    assert title == "Small: EM / F1"
    assert head.split()[:2] == ["en", "es"]
    assert baseline.count("±") == 6  # EM and F1 of two languages and their mean
    assert paper.split()[-3:] == ["63.4", "/", "77.3"]
    assert re.search(r"over Baseline \(.* to .*; p = \d\.\d+\)$", mixed.strip())
    rows = lbkd("reproduce", *small, "--seeds", "1,2", "--json")
    [written] = Path("lbkd-work/reproduce").iterdir()  # options go over the recipe: a table of its own
    assert re.fullmatch(r"small-[0-9a-f]{8}\.json", written.name)
    assert rows.json == json.loads(written.read_text())
    scores = rows.json[0]["scores"]["es"]
    assert scores["questions"] == scores["shared_questions"] > 0
    assert rows.json[0]["runs"] == ["lbkd-work/runs/baseline", "lbkd-work/runs/baseline.seed2"]
    assert "still valid" in rows.err
    lbkd("reproduce", *small, "--seeds", "1,2", "--rows", "Baseline")  # a whole table stays
    assert len(json.loads(written.read_text())) == 2
    told = lbkd("reproduce", *small, "--dry-run").out
    assert "0 of 2 steps to do" in told
    assert told.count("(done)") == 2


def test_columns_that_rest_on_different_questions(capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.toml").write_text(RECIPE, encoding="utf-8")
    both = {"exact_match": 50.0, "exact_match_sd": None, "f1": 60.0, "f1_sd": None, "shared_questions": 30}
    scores = {language: {**both, "questions": count} for language, count in (("en", 54), ("es", 30))}
    entries: list[dict[str, Any]] = [
        {"row": "Baseline", "paper": {}, "scores": scores, "mean": both, "gain": None}
    ]
    reproduce._show("Small", ["en", "es"], entries)
    _, head, row, last = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["en", "(54)", "es", "(30)"]
    assert row.split() == ["Baseline", *["50.0", "/", "60.0"] * 3]
    assert last == "Columns rest on different questions, (n) of them; only 30 are asked in every language."
    for each in scores.values():
        each["questions"] = 30
    reproduce._show("Small", ["en", "es"], entries)
    assert "(" not in capsys.readouterr().out


def test_a_rival_that_is_left_out_is_told(lbkd: Callable[..., Any], small: list[Any]) -> None:
    assert (
        "no comparison with Baseline: --rows"
        in lbkd("reproduce", *small, "--rows", "mixMRC", "--dry-run").err
    )
    assert "no comparison" not in lbkd("reproduce", *small, "--dry-run").err


def test_small_p_are_not_shown_as_none() -> None:
    gain = {"difference": 2.0, "low": 1.0, "high": 3.0, "p": 0.0001, "p_holm": 0.0014, "against": "a"}
    assert reproduce._gain(gain, 1) == "+2.0 over a (+1.0 to +3.0; p < 0.001)"
    assert reproduce._gain(gain, 14) == "+2.0 over a (+1.0 to +3.0; p < 0.001, Holm = 0.001)"


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["--seeds=-1"], ["--seeds", "whole numbers from 0"]),
        (["--seeds", "99999999999"], ["--seeds", "whole numbers from 0"]),
        (["--seeds", "one"], ["--seeds", "'one'"]),
        (["--rows", "mixmrc"], ["no row 'mixmrc'", "Baseline, mixMRC"]),
        (["--rows", ""], ["--rows names no row"]),
        (["--set", "criterion.kd.temperature=7"], ["criterion = {'kd': {'temperature': 7}}", "recipe"]),
        (["--set", "weighting.name=margin"], ["weighting = {'name': 'margin'}", "recipe"]),
        (["--corpus", "nowhere"], ["nowhere/test.en.json"]),
    ],
)
def test_refusals(refused: Callable[..., str], small: list[Any], more: list[str], parts: list[str]) -> None:
    message = refused("reproduce", *small, *more)
    assert all(part in message for part in parts), message


def test_faults_of_a_recipe_are_its_own(refused: Callable[..., str], small: list[Any]) -> None:
    Path("small.toml").write_text(RECIPE.replace("max_steps", "max_stepz"), encoding="utf-8")
    assert "small.toml: no option 'training.max_stepz'" in refused("reproduce", *small)


def test_a_plan_without_texts(lbkd: Callable[..., Any]) -> None:
    """Of the paper's table, on a machine that has neither SQuAD nor XLM."""
    plan = lbkd("reproduce", "table1", "--dry-run", "--json").json
    assert [step["name"] for step in plan][:3] == ["baseline", "lakm", "mix-mrc"]
    [baseline] = [step for step in plan if step["name"] == "baseline"]
    assert baseline["steps"] == 10 * -(-87_599 // 32)
    assert not any(step["done"] for step in plan)
    assert "as the recipe assumes" in lbkd("reproduce", "table1", "--dry-run").out


def test_the_examples_name_rows_that_exist(lbkd: Callable[..., Any]) -> None:
    text = " ".join(lbkd("reproduce", "--help").out.split())
    found = re.findall(r'Example: lbkd reproduce (\w+) --rows "([^"]*)"', text)
    assert found
    for recipe, rows in found:
        assert read_recipe(recipe).chosen([name.strip() for name in rows.split(",")])


def test_components_of_the_users_file_are_told_and_not_used(
    lbkd: Callable[..., Any], refused: Callable[..., str], small: list[Any]
) -> None:
    Path("lbkd.toml").write_text('[weighting]\nname = "margin"\n', encoding="utf-8")
    told = lbkd("reproduce", *small, "--dry-run")
    assert told.code == 0
    assert "weighting = {'name': 'margin'} of lbkd.toml is not used: each row has its own" in told.err
    assert "write them into a recipe" in refused("reproduce", *small, "--set", "weighting.name=fixed")


def test_how_the_texts_of_a_table_are_made_is_told_where_they_are_not(refused: Callable[..., str]) -> None:
    for more in ([], ["--dry-run"]):
        told = refused("reproduce", "xquad-small", *more)
        assert "there is no folder xquad-split yet. It is made by lbkd data download xquad" in told
        assert "--languages en,es,de,ar,hi,vi --out xquad-split" in told
