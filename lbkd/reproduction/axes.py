"""Axes of a grid: settings with the values to try, from the command line or a recipe's `[grid]`."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from lbkd.config import Settings
from lbkd.errors import ConfigError
from lbkd.options import is_list, list_arguments
from lbkd.registry import KINDS, registry_of
from lbkd.settings import parse_set


def split_axes(sets: Sequence[str], grid: Collection[str] = ()) -> tuple[dict[str, list[Any]], list[str]]:
    """Separate the `--set` texts that give a key several values, or are for a key of a grid, from the others.

    A comma separates values, unless the whole text is TOML or the option is a list by its type. Values of a
    key that is given more than once add up.

    Args:
        sets: texts `KEY=VALUE`.
        grid: keys of a recipe's grid, whose values one value replaces too.

    Returns:
        Key -> values, for the keys with several and those of the grid; and the texts of all other keys, as
        they were.
    """
    found: dict[str, list[Any]] = {}
    for text in sets:
        key, value = parse_set(text)
        found.setdefault(key, []).extend(_values(key, value, text.partition("=")[2].strip()))
    axes = {key: values for key, values in found.items() if len(values) > 1 or key in grid}
    return axes, [text for text in sets if parse_set(text)[0] not in axes]


def axes_of_tables(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a recipe's `[grid]` as dotted key -> values; a value that is no list stands alone."""
    axes: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            axes |= {f"{key}.{below}": values for below, values in axes_of_tables(value).items()}
        else:
            axes[key] = value if isinstance(value, list) else [value]
    return axes


def _values(key: str, value: Any, raw: str) -> list[Any]:
    """The values that the text of one `--set` gives a key."""
    if value != raw or "," not in raw or _takes_list(key):  # the text itself: it is no TOML
        return [value]
    with suppress(ValueError, RecursionError):
        values: list[Any] = tomllib.loads(f"v = [{raw}]")["v"]
        return values
    return [parse_set(f"{key}={part}")[1] for part in raw.split(",") if part.strip()]


def _takes_list(key: str) -> bool:
    """True for a setting or an option of a component that is a list by its type; False for an unknown key."""
    section, _, rest = key.partition(".")
    if section in KINDS and rest != "name":
        name, _, option = rest.rpartition(".")
        with suppress(ConfigError):  # an unknown or broken component, which is reported elsewhere
            return option in list_arguments(registry_of(section).get(name))
        return False
    schema: Any = Settings
    for part in key.split("."):
        field = getattr(schema, "model_fields", {}).get(part)
        if field is None:
            return False
        schema = field.annotation
    return is_list(schema)
