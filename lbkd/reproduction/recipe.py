"""Recipes: files that describe the rows of a table as runs, with the scores that the paper printed."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import lbkd_recipes
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lbkd.config import explain
from lbkd.errors import ConfigError, nearest
from lbkd.planning.workload import Size
from lbkd.reproduction.axes import axes_of_tables, split_axes

OF_A_ROW = ("corpus", "model", "training", "runtime")
"""Sections of the settings in which the rows of a table may differ: what decides the weights."""
_OF_THE_TABLE = ("corpus.allow_overlap", "corpus.benchmarks", "corpus.dev", "corpus.test")
"""Settings of these sections that say what is asked, in which all rows of a table are alike."""


def refuse_of_the_table(keys: Iterable[str], where: str) -> None:
    """Refuse settings in which the rows of a table may not differ.

    Raises:
        ConfigError: one of the dotted keys is such a setting.
    """
    for key in keys:
        if key.partition(".")[0] not in OF_A_ROW or key in _OF_THE_TABLE:
            raise ConfigError(
                f"{where}{key}: a row may differ in {', '.join(OF_A_ROW)}, but for what is asked "
                f"({', '.join(_OF_THE_TABLE)}); the rest is the whole table's, or in the row's options."
            )


def _each_once(values: list[Any]) -> list[Any]:
    if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
        raise ValueError(f"{twice[0]!r} stands there twice; name each once")
    return values


def _axes(table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ValueError("must be a table, [grid], of keys with the values to try")
    return axes_of_tables(table)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Scores(NamedTuple):
    """EM and F1, in percent."""

    exact_match: float
    f1: float


class Row(_Part):
    """A row of a table: one model, or one model for each language."""

    name: str
    task: str | None = None
    """Name of the task; None for a row that is only quoted from the paper."""
    options: dict[str, Any] = {}
    """Options of the task."""
    each_language: bool = False
    """Train one model for each language but the source language; each model answers in its own language."""
    criterion: str | None = None
    """Name of the criterion; by default the task's own."""
    criterion_options: dict[str, Any] = {}
    """Options of the criterion."""
    weighting: str = "impurity"
    """Name of the weighting, for tasks with teachers."""
    weighting_options: dict[str, Any] = {}
    """Options of the weighting."""
    settings: dict[str, Any] = {}
    """Settings of the row's model and of its teachers, over the table's: `training.epochs`, for example."""
    against: str | None = None
    """Name of the row to compare with: the row that this one claims to beat."""
    paper: dict[str, Scores] = {}
    """Language -> scores that the paper printed."""


class Recipe(_Part):
    """A table: settings that all rows share, evaluation data, and the rows."""

    title: str
    """Heading of the table."""
    settings: dict[str, Any] = {}
    """Settings as in `lbkd.toml`, over which they win; paths are relative to the current folder."""
    prepare: str = ""
    """Commands that make the folder of the corpus, for those who do not have it yet."""
    benchmark: str | None = None
    """Benchmark to evaluate on, `NAME` or `NAME.SPLIT`; by default the corpus's own test split."""
    columns: Annotated[list[str], AfterValidator(_each_once)] = []
    """Languages of the table's columns; passages and questions of a column have one language. By default, the
    corpus's languages and its zero-shot ones."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], AfterValidator(_each_once)] = Field(
        default=[1], min_length=1
    )
    """Seeds of the runs; scores are means over seeds."""
    size: Size | None = None
    """Size that a dry run assumes for texts that are not at hand."""
    rows: list[Row] = []
    """Rows one by one, before those of the grid."""
    grid: Annotated[
        dict[str, Annotated[list[Any], Field(min_length=1)]],
        BeforeValidator(_axes),
    ] = {}
    """Key of the settings -> its values; each combination of values is a row."""
    against: str | None = None
    """What the rows of the grid are compared with: see `grid.expanded`."""

    def chosen(self, names: list[str] | None) -> list[Row]:
        """Rows with the given names, in the table's order; all rows for None.

        Raises:
            ConfigError: a name is unknown, or the list is empty.
        """
        if names == []:
            raise ConfigError("--rows names no row; leave it out for all of them.")
        known = [row.name for row in self.rows]
        for name in names or ():
            if name not in known:
                raise ConfigError(f"no row {name!r}; {nearest(name, known)}")
        return [row for row in self.rows if names is None or row.name in names]


def read_recipe(name: str) -> Recipe:
    """Read a recipe that ships with lbkd, by its name, or a recipe file, by its path.

    Raises:
        ConfigError: the recipe does not exist or is invalid.
    """
    shipped = {path.stem: path for folder in lbkd_recipes.__path__ for path in Path(folder).glob("*.toml")}
    path = shipped.get(name, Path(name))
    if not path.is_file():
        raise ConfigError(f"no recipe {name!r}, nor a file of that name; {nearest(name, shipped)}")
    try:
        recipe = Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in explain(error, _keys))) from error
    if not recipe.rows and not recipe.grid:
        raise ConfigError(f"{path}: 'rows' is needed: tables [[rows]], or a table [grid].")
    if recipe.against is not None and not recipe.grid:
        raise ConfigError(f"{path}: against: is for the rows of a [grid]; others name their own `against`.")
    names = [row.name for row in recipe.rows]
    for row in recipe.rows:
        if names.count(row.name) > 1:
            raise ConfigError(f"{path}: two rows are called {row.name!r}.")
        if row.against is not None and row.against not in names:
            raise ConfigError(f"{path}: row {row.name!r}: against: {nearest(row.against, names)}")
        refuse_of_the_table(axes_of_tables(row.settings), f"{path}: row {row.name!r}: settings.")
        if row.each_language and "lang" in row.options:
            raise ConfigError(f"{path}: row {row.name!r}: each_language chooses lang itself; leave one out.")
    return recipe


def given_axes(
    options: Mapping[str, Any], sets: Sequence[str], recipe: str | None
) -> tuple[dict[str, list[Any]], list[str]]:
    """The axes of a grid that a command's options give, over those of a recipe's grid.

    Args:
        options: key of the settings -> value; None for one that was not given.
        sets: texts of `--set`.
        recipe: name of the recipe, if any.

    Returns:
        Key -> values; and the texts of `--set` that give no axis.

    Raises:
        ConfigError: see `read_recipe`.
    """
    grid = read_recipe(recipe).grid if recipe else {}
    axes, others = split_axes(sets, grid)
    named = {key: [value] for key, value in options.items() if key in grid and value is not None}
    return named | axes, others


def _keys(section: tuple[Any, ...]) -> list[str]:
    """Dotted keys of a recipe's section; `section` is the path of the section."""
    parts: dict[Any, type[BaseModel]] = {"rows": Row, "size": Size}
    part = parts.get(section[0] if section else None, Recipe)
    return [".".join((*map(str, section), name)) for name in part.model_fields]
