"""The example of docs/recipes.md runs, and the page's tables have every key."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lbkd_cli.main import main

from lbkd.reproduction.recipe import Recipe, Row

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


def keys(heading: str) -> set[str]:
    """Names in the first column of the table below a heading."""
    lines = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    first = [line.split("|")[1] for line in lines if line.startswith("| `")]
    return {key for cell in first for key in re.findall(r"`(\w+)`", cell)}


def test_every_key_is_told() -> None:
    assert keys("The table") == set(Recipe.model_fields)
    assert keys("A row") == set(Row.model_fields)


def test_the_example_is_planned_as_the_page_says(
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All its runs, by the names of the page; two sets of teachers for each seed."""
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    monkeypatch.chdir(tmp_path)
    Path("rates.toml").write_text(example, encoding="utf-8")
    few = ["--set", "corpus.limit=2", "--set", "training.max_steps=1", "--model", str(tiny_model_folder)]
    monkeypatch.setattr("sys.argv", ["lbkd", "reproduce", "rates.toml", *few, "--dry-run", "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    steps: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    names = [step["name"] for step in steps if step["steps"] and "seed" not in step["name"]]
    slow = ".training.learning_rate=3e-05"
    teachers = [f"branch-mrc.{language}" for language in ("en", "es", "de")]
    student = "distill.combined.impurity"
    assert names == [
        "mix-mrc",
        *teachers,
        student,
        f"{student}.temperature=2.0",
        *(f"{name}{slow}" for name in (*teachers, student)),
    ]
    assert {f"{student}{slow}", f"{teachers[0]}{slow}"} <= set(re.findall(r"`([\w.=-]+)`", PAGE))
    assert len([step for step in steps if step["name"].startswith("logits of")]) == 2 * 2 * 3
