"""Recipes: the rows of a table as runs, and what the paper printed for them."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import lbkd_recipes
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lbkd.config import explain
from lbkd.errors import ConfigError, nearest
from lbkd.planning.workload import Size


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Scores(NamedTuple):
    """In percent."""

    exact_match: float
    f1: float


class Row(_Part):
    """A row of a table: a model, or one for each language."""

    name: str
    task: str | None = None
    """What is trained; none: the row is quoted from the paper."""
    options: dict[str, Any] = {}
    """Of the task."""
    each_language: bool = False
    """Train the task for each language but the source's; each model answers in its own."""
    criterion: str | None = None
    """By default the task's."""
    criterion_options: dict[str, Any] = {}
    weighting: str = "impurity"
    weighting_options: dict[str, Any] = {}
    against: str | None = None
    """The row that this one claims to beat."""
    paper: dict[str, Scores] = {}
    """Language -> what the paper printed."""


class Recipe(_Part):
    """A table: settings that all rows share, what the models are asked, and the rows."""

    title: str
    settings: dict[str, Any] = {}
    """As in `lbkd.toml`, which they win over; paths are relative to where the command runs."""
    benchmark: str | None = None
    """By default the corpus's own test split."""
    columns: list[str] = Field(min_length=1)
    """Languages of passages and questions."""
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(default=[1], min_length=1)
    size: Size | None = None
    """What a dry run assumes of texts that are not at hand."""
    rows: list[Row] = Field(min_length=1)

    def chosen(self, names: list[str] | None) -> list[Row]:
        """The rows of these names, in the table's order; all for None.

        Raises:
            ConfigError: no such row, or no row at all.
        """
        if names == []:
            raise ConfigError("--rows names no row; leave it out for all of them.")
        known = [row.name for row in self.rows]
        for name in names or ():
            if name not in known:
                raise ConfigError(f"no row {name!r}; {nearest(name, known)}")
        return [row for row in self.rows if names is None or row.name in names]


def read_recipe(name: str) -> Recipe:
    """A recipe that ships, by its name, or a file.

    Raises:
        ConfigError: no such recipe, or one that cannot be understood.
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
    names = [row.name for row in recipe.rows]
    for row in recipe.rows:
        if names.count(row.name) > 1:
            raise ConfigError(f"{path}: two rows are called {row.name!r}.")
        if row.against is not None and row.against not in names:
            raise ConfigError(f"{path}: row {row.name!r}: against: {nearest(row.against, names)}")
        if row.each_language and "lang" in row.options:
            raise ConfigError(f"{path}: row {row.name!r}: each_language chooses lang itself; leave one out.")
    return recipe


def _keys(section: tuple[Any, ...]) -> list[str]:
    """The keys of a part of a recipe."""
    parts: dict[Any, type[BaseModel]] = {"rows": Row, "size": Size}
    part = parts.get(section[0] if section else None, Recipe)
    return [".".join((*map(str, section), name)) for name in part.model_fields]
