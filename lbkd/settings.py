"""Settings from files and the command line.

The layers, each over the one before: defaults, the corpus's own `lbkd.toml`, `lbkd.toml` of the current
folder, a recipe, the command line.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lbkd.config import BUILTIN_CORPUS, Settings, explain
from lbkd.errors import ConfigError

FILE_NAME = "lbkd.toml"


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    folder: Path = Path(),
    recipe: tuple[str, dict[str, Any]] | None = None,
) -> Settings:
    """The settings of a command, merged from all layers.

    Args:
        overrides: dotted key -> value, as on the command line; these win over all files.
        folder: where `lbkd.toml` may lie.
        recipe: name and settings of a recipe, which win over `lbkd.toml`; relative paths in a recipe start
            from the current folder.

    Raises:
        ConfigError: an unknown key (with the nearest one), a value of the wrong type, an unreadable file.
    """
    file = folder / FILE_NAME
    layers = [(str(file), read_toml(file))] if file.exists() else []
    if recipe is not None:
        layers.append(recipe)
    layers.append(("the command line", nested(overrides or {})))
    checked = [_validated(layer, where).corpus for where, layer in layers]
    chosen = next((c.dir for c in reversed(checked) if "dir" in c.model_fields_set), BUILTIN_CORPUS)
    own = chosen / FILE_NAME
    # Path.exists raises where the path is forbidden or too long; reading the corpus reports that.
    if os.path.exists(own) and own.resolve() != file.resolve():
        layers.insert(0, (str(own), read_toml(own)))
        _validated(layers[0][1], str(own))
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merge(merged, layer)
    settings = _validated(merged, "the settings")
    if settings.corpus.source not in settings.corpus.languages:
        raise ConfigError(
            f"corpus.source is {settings.corpus.source!r}, which is not among corpus.languages "
            f"({', '.join(settings.corpus.languages)}). Add it to --languages or name another --source."
        )
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, with relative paths made relative to the file's folder."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    for table, key in (
        (tables, "workspace"),
        (_table(tables, "corpus"), "dir"),
        (_table(tables, "corpus"), "benchmarks"),
        (_table(tables, "runtime"), "deepspeed"),
        (_table(tables, "task"), "phrases"),
    ):
        if isinstance(table.get(key), str):
            table[key] = str(path.parent / table[key])
    return tables


def parse_set(text: str) -> tuple[str, Any]:
    """Key and value of `--set training.epochs=3`; a value that is no TOML is plain text."""
    key, equals, raw = text.partition("=")
    if not (key.strip() and equals):
        raise ConfigError(f"--set {text!r}: expected KEY=VALUE, for example --set training.epochs=3")
    try:
        value = tomllib.loads(f"v = {raw}")["v"]
    except (ValueError, RecursionError):
        value = raw.strip()
    return key.strip(), value


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    tables: dict[str, Any] = {}
    for key, value in dotted.items():
        *parents, last = key.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{key!r} goes below {parent!r}, which already has the value {table!r}.")
        table[last] = value
    return tables


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put `over` onto `base`, table by table."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = dict(value) if isinstance(value, Mapping) else value


def _keys(section: tuple[str, ...]) -> list[str]:
    """The keys of one section of the schema, written in full."""
    model: Any = Settings
    for name in section:
        model = model.model_fields[name].annotation
    return [".".join((*section, name)) for name in model.model_fields]


def _table(tables: dict[str, Any], name: str) -> dict[str, Any]:
    table = tables.get(name)
    return table if isinstance(table, dict) else {}


def _validated(tables: Mapping[str, Any], where: str) -> Settings:
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(explain(error, where, _keys)) from error
