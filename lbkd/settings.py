"""Settings from files and the command line.

The layers, each over the one before: defaults, the corpus's own `lbkd.toml`, `lbkd.toml` of the current
folder, a recipe, the command line.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lbkd.config import BUILTIN_CORPUS, Settings, explain, split_names
from lbkd.errors import ConfigError
from lbkd.options import is_path, path_arguments
from lbkd.registry import KINDS, registry_of
from lbkd.registry.files import load_plugin

FILE_NAME = "lbkd.toml"
_EXAMPLES = {
    "task": "distill",
    "criterion": "combined",
    "weighting": "impurity",
    "translation": "seq2seq",
    "tracker": "mlflow",
}
"""A component of each kind, for messages."""
_OF_A_CORPUS = {"corpus", "model", "training", "evaluation", "task", "criterion", "weighting", "seed"}
"""Sections that a corpus's own file may contain: the corpus, and learning from it."""
_USERS_ALONE = (
    ("corpus", "allow_overlap"),
    ("model", "name"),
    ("model", "revision"),
    ("model", "trust_remote_code"),
)
"""Settings of these sections that a corpus's own file must not contain."""
_OF_FILE_NAMES = (
    *(("corpus", key) for key in ("files", "train", "test", "dev")),
    ("training", "select_on"),
)
"""Settings that are parts of the names of a corpus's files."""


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    folder: Path = Path(),
    recipe: tuple[str, dict[str, Any]] | None = None,
    where: str = "the command line",
) -> Settings:
    """The settings of a command, merged from all layers.

    Args:
        overrides: dotted key -> value, as on the command line; these win over all files.
        folder: where `lbkd.toml` may lie.
        recipe: name and settings of a recipe, which win over `lbkd.toml`; relative paths in a recipe start
            from the current folder.
        where: what gave the overrides, for messages.

    Raises:
        ConfigError: an unknown key (with the nearest one), a value of the wrong type, an unreadable file.
    """
    file = folder / FILE_NAME
    layers = [(str(file), read_toml(file))] if file.exists() else []
    if recipe is not None:
        layers.append(recipe)
        for key, option in (("plugins", "--plugin"), ("tracker", "--track")):
            if key in recipe[1]:
                raise ConfigError(f"{recipe[0]}: {key}: a recipe must not set this; use {option}.")
    layers.append((where, nested(overrides or {})))
    plugins = [path for where, layer in layers for path in _load_plugins(layer, where)]
    checked = [_validated(layer, where).corpus for where, layer in layers]
    chosen = next((c.dir for c in reversed(checked) if "dir" in c.model_fields_set), BUILTIN_CORPUS)
    own = chosen / FILE_NAME
    # Path.exists raises where the path is forbidden or too long; reading the corpus reports that.
    if os.path.exists(own) and own.resolve() != file.resolve():
        layers.insert(0, (str(own), read_toml(own)))
        _validated(layers[0][1], str(own))
        _check_own(layers[0][1], own)
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merge(merged, layer)
    merged["plugins"] = list(dict.fromkeys(plugins))
    return _checked(_validated(merged, "the settings"))


def overridden(settings: Settings, overrides: Mapping[str, Any], where: str) -> Settings:
    """Settings with some of them replaced.

    Args:
        settings: complete ones.
        overrides: dotted key, or tables as in `lbkd.toml`, -> value.
        where: what gave the overrides, for messages.

    Raises:
        ConfigError: as `load_settings`.
    """
    tables = nested(overrides)
    _validated(tables, where)
    merged = settings.model_dump(exclude_unset=True)
    merge(merged, tables)
    return _checked(_validated(merged, where))


def _checked(settings: Settings) -> Settings:
    if settings.corpus.source not in settings.corpus.languages:
        raise ConfigError(
            f"corpus.source is {settings.corpus.source!r}, which is not among corpus.languages "
            f"({', '.join(settings.corpus.languages)}). Add it to --languages or name another --source."
        )
    return settings


def load_plugins(files: Iterable[Path], folder: Path = Path()) -> None:
    """Load the plugin files that `lbkd.toml` of a folder names, then `files`; errors as `load_plugin`."""
    file = folder / FILE_NAME
    if file.exists():
        _load_plugins(read_toml(file), str(file))
    _load_plugins({"plugins": list(files)}, "the command line")


def _load_plugins(layer: Mapping[str, Any], where: str) -> tuple[Path, ...]:
    """Load the plugin files that a layer of the settings names; their paths."""
    given = {name: layer[name] for name in ("plugins",) if name in layer}
    try:
        paths = Settings.model_validate(given).plugins
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {fault}" for fault in explain(error, _keys))) from error
    for path in paths:
        load_plugin(path)
    return paths


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; relative paths are made relative to the file's folder."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    for key, value in paths_in(tables):
        _table(tables, key[:-1])[key[-1]] = str(path.parent / value)
    model = _table(tables, ("model",))
    if isinstance(name := model.get("name"), str) and os.path.isdir(path.parent / name):
        model["name"] = str(path.parent / name)
    for key, n, teacher, place in _readers_in(tables):
        if os.path.isdir(path.parent / place):
            _table(tables, key[:-1])[key[-1]][n] = f"{teacher}={path.parent / place}"
    if isinstance(plugins := tables.get("plugins"), list):
        tables["plugins"] = [str(path.parent / each) if isinstance(each, str) else each for each in plugins]
    return tables


def paths_in(tables: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """Key and value of every setting and component option that is a path by its declared type."""
    keys = [*_path_keys(Settings), *(key for kind in KINDS for key in _component_paths(tables, kind))]
    values = [(key, _table(tables, key[:-1]).get(key[-1])) for key in keys]
    return [(key, value) for key, value in values if isinstance(value, str)]


def _readers_in(tables: dict[str, Any]) -> list[tuple[tuple[str, ...], int, str, str]]:
    """Key, number in its list, name and model of every teacher that is a finished reader, `NAME=MODEL`."""
    found: list[tuple[tuple[str, ...], int, str, str]] = []
    for task, options in _table(tables, ("task",)).items():
        teachers = options.get("teachers") if isinstance(options, dict) else None
        for n, text in enumerate(teachers if isinstance(teachers, list) else ()):
            name, is_reader, model = str(text).partition("=")
            if is_reader:
                found.append((("task", task, "teachers"), n, name.strip(), model.strip()))
    return found


def _path_keys(schema: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in schema.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _path_keys(field.annotation, (*above, name))
        elif is_path(field.annotation):
            yield (*above, name)


def _component_paths(tables: dict[str, Any], kind: str) -> Iterator[tuple[str, ...]]:
    """Keys of path options; a component without any text among its options is not imported."""
    registry = registry_of(kind)
    for name, options in _table(tables, (kind,)).items():
        if isinstance(options, dict) and any(isinstance(value, str) for value in options.values()):
            with suppress(ConfigError):  # an unknown or broken component, which is reported elsewhere
                yield from ((kind, name, option) for option in path_arguments(registry.get(name)))


def _check_own(tables: dict[str, Any], file: Path) -> None:
    """Refuse what a corpus's own file must not set: a folder of data does not decide what runs, and where.

    Raises:
        ConfigError: a setting that is the user's alone, or a path that leads out of the corpus.
    """
    refused = [name for name in tables if name not in _OF_A_CORPUS]
    refused += [f"{section}.{key}" for section, key in _USERS_ALONE if key in _table(tables, (section,))]
    refused += [f"{'.'.join(key)}[{n}]" for key, n, _, _ in _readers_in(tables)]
    if refused:
        raise ConfigError(
            f"{file}: {', '.join(refused)}: a corpus's own file must not set this. If you trust the corpus, "
            f"move the lines to {FILE_NAME} of the current folder, or use --set."
        )
    for place, path in paths_in(tables):
        if not Path(os.path.abspath(path)).is_relative_to(os.path.abspath(file.parent)):
            key = ".".join(place)
            raise ConfigError(f"{file}: {key}: a corpus's own file must not name {path}, outside it.")
    for *section, key in _OF_FILE_NAMES:
        name = str(_table(tables, tuple(section)).get(key, "unset"))
        if any(not part.strip(".") for part in name.split("/")):  # dots of two settings may come together
            raise ConfigError(
                f"{file}: {'.'.join((*section, key))}: a corpus's own file must not name {name}, which leads "
                "out of it, or may together with other settings; name files inside it, without '.' and '..'."
            )


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


def _table(tables: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The table at a place; empty where there is none."""
    for name in path:
        found = tables.get(name)
        tables = found if isinstance(found, dict) else {}
    return tables


def _validated(tables: dict[str, Any], where: str) -> Settings:
    _check_components(tables, where)
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {fault}" for fault in explain(error, _keys))) from error


def _check_components(tables: dict[str, Any], where: str) -> None:
    """Refuse options that stand under no component's name, and names that no component has."""
    for kind in KINDS:
        table = _table(tables, (kind,))
        for key, value in table.items():
            if key != "name" and not isinstance(value, Mapping):
                place = f"{kind}.{_EXAMPLES[kind]}"
                option = key if str(key).isprintable() else repr(key)
                raise ConfigError(
                    f"{where}: {kind}.{option}: options stand under their component's name; for "
                    f"{_EXAMPLES[kind]!r}: `[{place}] {option} = ...` in a file, "
                    f"`--set {place}.{option}=...`."
                )
        names = [key for key in table if key != "name"]
        given = table.get("name")
        names += split_names(given) if isinstance(given, str) else given if isinstance(given, list) else []
        for name in names:
            try:
                registry_of(kind).origin(str(name))
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from error
