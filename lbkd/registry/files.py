"""Plugin files: single files of Python whose decorators register components."""

import linecache
import sys
from pathlib import Path
from types import ModuleType

from lbkd.errors import ConfigError, LbkdError
from lbkd.registry import KINDS, PLUGIN_FILE, registry_of
from lbkd.registry.errors import raised_inside


def load_plugin(path: Path) -> None:
    """Run a plugin file; one that has not changed since it was last run is left as it is.

    The file stands alone: it is a module of its own, and its folder is not searched for others.

    Raises:
        ConfigError: no readable file, another file of that name is loaded, or nothing is registered.
        PluginError: the file raises an exception.
    """
    place = path.resolve()
    try:
        source = place.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"plugin {path}: not a readable file of Python: {error}") from error
    name = PLUGIN_FILE + place.stem
    former = sys.modules.get(name)
    if former is not None and former.__file__ != str(place):
        raise ConfigError(f"plugins {former.__file__} and {place} have the same name; rename one of them.")
    if former is not None and vars(former)["__source__"] == source:
        return
    module = ModuleType(name)
    vars(module).update(__file__=str(place), __source__=source)
    sys.modules[name] = module
    # Without a time, so that provenance and tracebacks show what runs, whatever the file holds by then.
    linecache.cache[str(place)] = (len(source), None, source.splitlines(keepends=True), str(place))
    try:
        exec(compile(source, str(place), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, LbkdError):
            raise ConfigError(f"plugin {path}: {error}") from error
        raise raised_inside(f"plugin {path}", error, file=str(place)) from error
    if not any(registry_of(kind).registered_in(name) for kind in KINDS):
        raise ConfigError(
            f"plugin {path} registers nothing: write `@weighting_registry.register('my-own')` above the "
            "class (`from lbkd import weighting_registry`; or criterion_registry, task_registry, "
            "translation_registry, tracker_registry)."
        )
