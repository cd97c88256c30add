import re
from pathlib import Path
from typing import Any

import pytest

from lbkd import tasks, weighting
from lbkd.errors import ConfigError
from lbkd.evaluation.benchmarks import BENCHMARKS
from lbkd.reproduction.recipe import Recipe, read_recipe
from lbkd.settings import load_settings, nested

PAPER = Path(__file__).parents[3] / "shared" / "paper.txt"
TABLES = ["table1", "table2", "table3", "table4", "table5", "table6"]
SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_can_be_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = read_recipe(name)
    settings = load_settings(recipe.settings)
    languages = settings.corpus.languages
    assert (
        recipe.size
        or f"--out {settings.corpus.dir}" in recipe.prepare
        or (f"mkdir {settings.corpus.dir} " in recipe.prepare)
    )
    for row in recipe.rows:
        if row.task is not None:
            lang = {"lang": languages[-1]} if row.each_language else {}
            task = tasks.registry.create(row.task, {**row.options, **lang})
            assert task.pairs(languages, "en")
            weighting.registry.create(row.weighting, row.weighting_options)
    if recipe.benchmark is not None:
        assert set(recipe.columns) <= set(BENCHMARKS[recipe.benchmark.partition(".")[0]].languages)


@pytest.mark.parametrize("name", TABLES)
def test_the_papers_settings(name: str) -> None:
    """Section 4.1.3, in every table alike."""
    training = load_settings(read_recipe(name).settings).training
    assert (training.epochs, training.learning_rate, training.weight_decay) == (10, 1e-5, 0.005)
    assert (training.adam_eps, training.max_steps, training.head_lr_multiplier) == (1e-8, None, 1.0)
    first = read_recipe("table1")
    assert read_recipe(name).settings == first.settings


@pytest.mark.parametrize("name", TABLES)
def test_the_numbers_of_the_paper(name: str) -> None:
    """Every row is a line of the paper's text: its numbers, in the order of the columns."""
    if not PAPER.exists():
        pytest.skip(f"{PAPER} is not there")
    text = PAPER.read_text(encoding="utf-8")
    lines = [re.findall(r"\d+\.\d", line) for line in text.splitlines()]
    recipe = read_recipe(name)
    for row in recipe.rows:
        numbers = [f"{value:.1f}" for code in recipe.columns for value in row.paper.get(code, ())]
        assert numbers
        assert any(numbers == line[at : at + len(numbers)] for line in lines for at in range(len(line))), row


def write(path: Path, *rows: str, head: str = "") -> Path:
    path.write_text(f'title = "t"\ncolumns = ["en"]\n{head}' + "".join(f"[[rows]]\n{row}\n" for row in rows))
    return path


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.toml", 'name = "a"\ntask = "baseline"', 'name = "b"\nagainst = "a"')
    recipe = read_recipe(str(path))
    assert [row.name for row in recipe.chosen(None)] == ["a", "b"]
    assert [row.name for row in recipe.chosen(["b"])] == ["b"]
    with pytest.raises(ConfigError, match="no row 'c'; choices: a, b"):
        recipe.chosen(["c"])
    with pytest.raises(ConfigError, match="--rows names no row"):
        recipe.chosen([])


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (['name = "a"', 'name = "a"'], "", "two rows are called 'a'"),
        (['name = "a"\nagainst = "b"'], "", "row 'a': against: choices: a"),
        (['name = "a"\ntsak = "x"'], "", "no option 'rows.0.tsak'"),
        (['name = "a"\npaper = { en = [1.0] }'], "", "rows.0.paper.en"),
        (['name = "a"\neach_language = true\noptions = { lang = "es" }'], "", "leave one out"),
        (['name = "a"'], "benchmrk = 1\n", "no option 'benchmrk'; did you mean 'benchmark'"),
        ([], "", "'rows' is needed"),
        (['name = "a"'], 'against = "a"\n', "against: is for the rows of a .grid"),
        (['name = "a"'], "seeds = [1, 2, 1]\n", r"seeds = .*: 1 stands there twice; name each once"),
        ([], 'grid = "fixed"\n', "grid = 'fixed': must be a table, .grid., of keys"),
        ([], "[grid]\ntraining.epochs = []\n", "grid.training.epochs"),
        ([], "x = [", "not a readable TOML file"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, rows: list[str], head: str, message: str) -> None:
    path = write(tmp_path / "mine.toml", *rows, head=head)
    with pytest.raises(ConfigError, match=message) as caught:
        read_recipe(str(path))
    assert str(path) in str(caught.value)


def test_a_title_is_asked_for_where_it_belongs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[grid]\ntraining.epochs = [1, 2]\n")
    with pytest.raises(ConfigError) as caught:
        read_recipe(str(path))
    assert str(caught.value) == f"{path}: 'title' is needed."


def test_no_such_recipe() -> None:
    with pytest.raises(ConfigError, match="no recipe 'tabel1'.*did you mean 'table1'"):
        read_recipe("tabel1")


def test_settings_are_those_of_lbkd_toml() -> None:
    values: dict[str, Any] = {"title": "t", "columns": ["en"], "rows": [{"name": "a"}]}
    recipe = Recipe.model_validate({**values, "settings": nested({"training.epochs": 3})})
    assert load_settings(recipe.settings).training.epochs == 3
