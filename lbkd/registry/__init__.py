"""Components by name: built in, installed by other packages, or registered by a script.

A built-in component's file name is its name (`language_match.py` is `language-match`). Another package
registers by an entry point in the group of the same name as the package here (`lbkd.weighting`), a script or
a plugin file by the decorator `register`. A package's component is also reached as `package:name`, the only
way where the plain name is a built-in's.
"""

import ast
import functools
import importlib
import inspect
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lbkd import __version__
from lbkd.errors import ConfigError, LbkdError, UnknownNameError, nearest, out_of_memory
from lbkd.provenance import source_hash
from lbkd.registry.entries import check_name, claims, entries_of, package, qualified
from lbkd.registry.errors import raised_inside
from lbkd.registry.secrets import secret_values

T = TypeVar("T")
PLUGIN_FILE = "lbkd_plugin_"
"""Beginning of the name of a plugin file's module, before the file's own name."""
KINDS = {
    "task": "lbkd.tasks",
    "criterion": "lbkd.criterions",
    "weighting": "lbkd.weighting",
    "translation": "lbkd.translation",
    "tracker": "lbkd.trackers",
}
"""Section of the settings -> package of the components whose options it holds."""


def registry_of(section: str) -> "Registry[Any]":
    """The registry of the components whose options stand in a section of the settings."""
    registry: Registry[Any] = importlib.import_module(KINDS[section]).registry
    return registry


@dataclass(frozen=True)
class Option:
    """One argument of a component's constructor."""

    name: str
    type: str
    default: str
    """The default as Python writes it; empty for an option that is required."""


class Registry(Generic[T]):
    """The components of one kind.

    Args:
        package: package whose folder holds the built-in components; also the entry-point group of others.
        base: class that every component extends.
        section: section of the settings with the components' options; by default the base's name.
    """

    def __init__(self, package: str, base: type[Any], section: str | None = None) -> None:
        self.package = package
        self.kind = base.__name__.lower()
        self.section = section or self.kind
        self._base = base
        self._scripted: dict[str, type[T]] = {}
        self._known: dict[type[Any], str] = {}
        """Class -> the name that it was last asked for by."""

    def names(self) -> list[str]:
        """All names, sorted; no component is imported.

        A package's component with a built-in's name has the name `package:name`.
        """
        files = self._files()
        others = {
            qualified(entry) if name in files else name
            for name, entries in entries_of(self.package).items()
            for entry in entries
        }
        return sorted({*files, *others, *self._scripted})

    def origin(self, name: str) -> str:
        """Package and version that provide `name`; all packages if several claim the name."""
        return " and ".join(self._origins(name))

    def get(self, name: str) -> type[T]:
        """The class registered as `name`; only the module of that class is imported.

        Raises:
            UnknownNameError: no component has this name.
            ConfigError: a name claimed twice, a plugin that cannot be imported or that is no subclass of the
                base.
        """
        cls = self._loaded(name)
        self._known[cls] = name
        return cls

    def _loaded(self, name: str) -> type[T]:
        if name in self._files():
            for entry in entries_of(self.package).get(name, []):
                _warn_once(
                    f"{self.kind} {name!r} is lbkd's own; that of {package(entry)} is {qualified(entry)!r}."
                )
            return self._only_class(importlib.import_module(f"{self.package}.{name.replace('-', '_')}"))
        origins, entries = self._origins(name), claims(name, self.package)
        if len(origins) > 1:
            choices = "".join(f" {qualified(entry)!r}," for entry in entries)
            raise ConfigError(
                f"{self.kind} {name!r} is claimed by {self.origin(name)}. "
                f"Name one of{choices} or uninstall one or have it renamed."
            )
        if name in self._scripted:
            return self._scripted[name]
        [entry] = entries
        check_name(entry.name, self.kind)
        try:
            found = entry.load()
        except (Exception, SystemExit) as error:  # whatever a plugin raises, other components work
            raise ConfigError(
                f"{self.kind} {name!r} of {origins[0]} cannot be imported ({entry.value}): "
                f"{type(error).__name__}: {error}. "
                "Mend or uninstall that package; the others are not affected."
            ) from error
        return self._checked(found, f"{name!r} of {origins[0]}")

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """A class decorator for scripts, notebooks and plugin files; a name that is taken is refused.

        In a package whose entry point has the same name, the decorator does nothing more.
        """
        check_name(name, self.kind)

        def add(cls: type[T]) -> type[T]:
            if any(entry.module == cls.__module__ for entry in claims(name, self.package)):
                return cls
            former = self._scripted.get(name)
            # A notebook cell that runs again registers a new class of the same name.
            again = former is not None and former.__qualname__ == cls.__qualname__
            if name in self.names() and not again:
                raise ConfigError(
                    f"{self.kind} {name!r} is already provided by {self.origin(name)}; take another name."
                )
            self._scripted[name] = self._checked(cls, repr(name))
            return cls

        return add

    def create(self, name: str, options: Mapping[str, Any] | None = None) -> T:
        """An instance of `name`; `options` are checked against the types of its constructor.

        Secrets are read from the environment variables that their options name (see `is_secret`).
        """
        from lbkd.options import checked_arguments  # imports pydantic, which a listing does not need

        cls = self.get(name)
        where = f"{self.section}.{name}"
        secrets = secret_values(options or {}, where)
        with self.told(cls, "its constructor"):
            arguments = checked_arguments(cls, options or {}, where)
        arguments |= {option: type(arguments[option])(value) for option, value in secrets.items()}
        try:
            with self.told(cls, "its constructor"):
                return cls(**arguments)
        except ConfigError as error:  # a value out of its range, which the constructor refuses
            raise ConfigError(f"{where}: {error}") from error

    def described(self, component: T | type[T]) -> str:
        """A component in messages: kind, name, package and version; by its class if it has no name."""
        cls: type[Any] = component if inspect.isclass(component) else type(component)
        name = self._known.get(cls)
        if name is None:
            return f"{self.kind} {cls.__module__}.{cls.__qualname__}"
        return f"{self.kind} {name!r} of {self._provider(name)}"

    @contextmanager
    def told(self, component: T | type[T], doing: str) -> Iterator[None]:
        """Tell an exception inside the block as one of a component that is not built in.

        Args:
            component: what is called in the block.
            doing: which part of it, for the message: "`weights`".

        Raises:
            PluginError: the component raised what is no `LbkdError`, and no lack of memory.
        """
        try:
            yield
        except LbkdError:
            raise
        except (Exception, SystemExit) as error:
            cls: type[Any] = component if inspect.isclass(component) else type(component)
            if cls.__module__.partition(".")[0] == "lbkd" or out_of_memory(error):
                raise
            raise raised_inside(f"{self.described(component)}: {doing}", error, cls) from error

    def provenance(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """All by which two uses of a component may differ, JSON-like; equal uses are equal.

        Returns:
            `name`; `package`, with its version where it is not lbkd; `source`, a hash of the component's
            code; `options`, all of them, defaults included, as the constructor gets them.
        """
        return {
            "name": name,
            "package": self.origin(name),
            "source": source_hash(self.get(name), self.package),
            "options": self.resolved(name, options),
        }

    def resolved(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options of a component, defaults included, as JSON-like values (see `resolved_options`)."""
        from lbkd.options import resolved_options  # imports pydantic, which a listing does not need

        where = f"{self.section}.{name}"
        secret_values(options, where)  # a value in place of a variable's name would be written into results
        return resolved_options(self.get(name), options, where)

    def options(self, name: str) -> list[Option]:
        """The arguments of the component's constructor."""
        from lbkd.options import parameters, type_name

        cls = self.get(name)
        with self.told(cls, "its constructor"):
            found = parameters(cls, typed=True)
        return [
            Option(p.name, type_name(p.annotation), "" if p.default is p.empty else repr(p.default))
            for p in found
        ]

    def summary(self, name: str) -> str:
        """First line of the docstring, read without an import; empty for components of other packages."""
        if name in self._files():
            for node in ast.parse(self._files()[name].read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    return (ast.get_docstring(node) or "").partition("\n")[0]
        return ""

    def _files(self) -> dict[str, Path]:
        folder = Path(__file__).parents[1].joinpath(*self.package.split(".")[1:])
        return {
            path.stem.replace("_", "-"): path for path in folder.glob("*.py") if not path.stem.startswith("_")
        }

    def registered_in(self, module: str) -> list[str]:
        """The names that the decorators of a module have registered."""
        return [name for name, cls in self._scripted.items() if cls.__module__ == module]

    def _provider(self, name: str) -> str:
        origin = self.origin(name)
        return f"lbkd {__version__}" if origin == "lbkd" else origin

    def _origins(self, name: str) -> list[str]:
        if name in self._files():
            return ["lbkd"]
        origins = [package(entry) for entry in claims(name, self.package)]
        if name in self._scripted:
            module = self._scripted[name].__module__
            origins.append(
                f"{module.removeprefix(PLUGIN_FILE)}.py"
                if module.startswith(PLUGIN_FILE)
                else f"the script's {module}"
            )
        if not origins:
            raise UnknownNameError(
                f"no {self.kind} {name!r}; {nearest(name, self.names())} "
                f"Packages add theirs by the entry-point group {self.package!r}, a file by --plugin; "
                "see `lbkd list`."
            )
        return origins

    def _only_class(self, module: Any) -> type[T]:
        classes: list[Any] = [item for item in vars(module).values() if inspect.isclass(item)]
        [cls] = [c for c in classes if c.__module__ == module.__name__ and issubclass(c, self._base)]
        return cls  # type: ignore[no-any-return]

    def _checked(self, found: Any, what: str) -> type[T]:
        cls: type[T] = found
        if not (inspect.isclass(found) and issubclass(found, self._base)):
            raise ConfigError(
                f"{self.kind} {what} is {found!r}, "
                f"not a subclass of {self._base.__module__}.{self._base.__name__}."
            )
        if inspect.isabstract(found):
            missing = ", ".join(sorted(vars(found)["__abstractmethods__"]))
            raise ConfigError(f"{self.kind} {what} does not implement {missing}.")
        return cls


@functools.cache
def _warn_once(message: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        logging.getLogger(__name__).warning(message)
