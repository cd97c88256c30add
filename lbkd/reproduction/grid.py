"""Grids: the rows of a table for all combinations of some values."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from lbkd import tasks
from lbkd.config import Settings
from lbkd.errors import ConfigError, nearest
from lbkd.reproduction.recipe import OF_A_ROW, Recipe, Row, refuse_of_the_table
from lbkd.settings import overridden
from lbkd.training.run import Components

_PARTS = ("task", "criterion", "weighting")
"""Kinds of components by which rows may differ, in the settings' words."""


def expanded(recipe: Recipe, settings: Settings) -> Recipe:
    """The recipe with the rows of its grid behind its own.

    Args:
        recipe: its `against` names one of its own rows, or values of the grid, as rows are named by them: a
            row is compared with the one that has these values and is alike otherwise. By default all are
            compared with the table's first row that is not quoted.
        settings: of all rows; components and options that the grid does not set are theirs.

    Raises:
        ConfigError: a key by which rows cannot differ, a value that does not fit, values that no row uses, or
            an `against` that names nothing.
    """
    if not recipe.grid:
        return recipe
    rows = _rows(recipe.grid, settings, recipe.against, recipe.rows)
    if twice := {row.name for row in recipe.rows} & {row.name for row in rows}:
        raise ConfigError(f"two rows are called {twice.pop()!r}; rename the one outside of [grid].")
    return recipe.model_copy(update={"rows": [*recipe.rows, *rows], "grid": {}})


def _rows(
    axes: Mapping[str, Sequence[Any]], settings: Settings, against: str | None, others: Sequence[Row]
) -> list[Row]:
    """A row for each combination of values that means something else; `others` are the rows before."""
    sections = (*OF_A_ROW, *_PARTS)
    for key in axes:
        if (section := key.partition(".")[0]) not in Settings.model_fields:
            raise ConfigError(f"no option {key!r}; {nearest(section, sections)}")
        if section not in sections:
            raise ConfigError(
                f"{key}: rows of a grid may differ in {', '.join(sections)}; the rest is the whole table's. "
                + ("Seeds are --seeds, or `seeds` of the recipe." if key == "seed" else "Give it one value.")
            )
    refuse_of_the_table([key for key in axes if key.partition(".")[0] not in _PARTS], "")
    points = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    made = [_row(point, settings) for point in points]
    used = [used for _, used in made]
    if idle := [key for key, values in axes.items() if len(values) > 1 and not any(key in u for u in used)]:
        raise ConfigError(f"{idle[0]}: no row of the grid uses it; name the component, or leave it out.")
    labels = _labels(used)
    names = [_name(each, labels) or row.name for row, each in made]
    first = next((row.name for row in others if row.task is not None), names[0])
    if against is None or against in [row.name for row in others]:
        rivals = [against or first] * len(points)
    else:
        chosen = _chosen(against, labels, [*(row.name for row in others), *names])
        rivals = [names[points.index({**point, **chosen})] for point in points]
    rows: dict[str, Row] = {}
    for (row, _), name, rival in zip(made, names, rivals, strict=True):
        found = row.model_copy(update={"name": name, "against": None if rival == name else rival})
        rows.setdefault(name, found)
    return list(rows.values())


def _row(point: Mapping[str, Any], settings: Settings) -> tuple[Row, dict[str, Any]]:
    """The row of one combination of values, and those of the values that it uses."""
    own = overridden(settings, point, "the grid")
    components = Components.from_settings(own, own.task.name or "distill")
    task = tasks.registry.create(components.task, components.task_options)
    used = {"task": components.task, "criterion": components.criterion}
    if task.teachers(own.corpus.languages):
        used["weighting"] = components.weighting
    row = Row(
        name=components.task,
        task=components.task,
        options=dict(components.task_options),
        criterion=components.criterion,
        criterion_options=dict(components.criterion_options),
        weighting=components.weighting,
        weighting_options=dict(components.weighting_options),
        settings={key: value for key, value in point.items() if key.partition(".")[0] in OF_A_ROW},
    )
    return row, {key: value for key, value in point.items() if _is_used(key, used)}


def _is_used(key: str, used: Mapping[str, str | None]) -> bool:
    section, _, rest = key.partition(".")
    if section in OF_A_ROW:
        return True
    return section in used and (rest == "name" or rest.startswith(f"{used[section]}."))


def _labels(used: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any, str]]:
    """Key, value and word in the names of rows, for each value; of keys with several values if there are any.

    A component's name is its own word; an option's word is `temperature=2`, with `impurity.` before it where
    another key ends alike.
    """
    found: list[tuple[str, Any]] = []
    for point in used:
        found += [pair for pair in point.items() if pair not in found]
    counts = Counter(key for key, _ in found)
    found = [pair for pair in found if counts[pair[0]] > 1] or found
    keys = list(dict.fromkeys(key for key, _ in found))
    bare = Counter(_text(value) for key, value in found if key.endswith(".name"))
    labels = []
    for key, value in found:
        text = _text(value)
        alone = key.endswith(".name") and bare[text] == 1
        labels.append((key, value, text if alone else f"{_short(key, keys)}={text}"))
    words = Counter(word for _, _, word in labels)
    if twice := [word for word, count in words.items() if count > 1]:
        raise ConfigError(f"the grid has {twice[0]} twice, as values of two types; leave one out.")
    return labels


def _text(value: Any) -> str:
    """A value as a part of a row's name, without blanks and commas."""
    text = "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return re.sub(r"[\s,]+", "+", text)


def _short(key: str, keys: Sequence[str]) -> str:
    """The shortest end of a dotted key that no other key has."""
    parts = key.split(".")
    ends = [".".join(parts[at:]) for at in range(len(parts) - 1, -1, -1)]
    return next(end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) == 1)


def _name(used: Mapping[str, Any], labels: Sequence[tuple[str, Any, str]]) -> str:
    """The words of the values that a row uses, in the order of the axes."""
    found = [word for key, value in used.items() for of, its, word in labels if of == key and its == value]
    return " ".join(found)


def _chosen(against: str, labels: Sequence[tuple[str, Any, str]], known: Sequence[str]) -> dict[str, Any]:
    """The values that `against` names, by key."""
    by_word = {word: (key, value) for key, value, word in labels}
    words = against.split()
    if not words or not {*words} <= by_word.keys():
        raise ConfigError(
            f"against: no row {against!r}; {nearest(against, [*dict.fromkeys([*known, *by_word])])}"
        )
    return dict(by_word[word] for word in words)
