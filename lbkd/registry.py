"""Components by name: built in, installed by other packages, or registered by a script.

A built-in component's file name is its name (`language_match.py` is `language-match`). Another package
registers by an entry point in the group of the same name as the package here (`lbkd.weighting`), a script by
the decorator `register`.
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from lbkd import __version__
from lbkd.errors import ConfigError, nearest
from lbkd.provenance import source_hash

T = TypeVar("T")
KINDS = {
    "task": "lbkd.tasks",
    "criterion": "lbkd.criterions",
    "weighting": "lbkd.weighting",
    "translation": "lbkd.translation",
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

    def names(self) -> list[str]:
        """All names, sorted; no component is imported."""
        return sorted({*self._files(), *self._entry_points(), *self._scripted})

    def origin(self, name: str) -> str:
        """Package and version that provide `name`; all packages if several claim the name."""
        return " and ".join(self._origins(name))

    def get(self, name: str) -> type[T]:
        """The class registered as `name`; only the module of that class is imported.

        Raises:
            ConfigError: unknown name, a name claimed twice, a plugin that cannot be imported or that is no
                subclass of the base.
        """
        origins = self._origins(name)
        if len(origins) > 1:
            raise ConfigError(
                f"{self.kind} {name!r} is claimed by {self.origin(name)}. "
                "Uninstall one of them or have it renamed."
            )
        if name in self._scripted:
            return self._scripted[name]
        if name in self._files():
            return self._only_class(importlib.import_module(f"{self.package}.{name.replace('-', '_')}"))
        [entry] = self._entry_points()[name]
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
        """A class decorator for scripts and notebooks; a name that is taken is refused."""

        def add(cls: type[T]) -> type[T]:
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
        """An instance of `name`; `options` are checked against the types of its constructor."""
        from lbkd.options import checked_arguments  # imports pydantic, which a listing does not need

        cls = self.get(name)
        where = f"{self.section}.{name}"
        arguments = checked_arguments(cls, options or {}, where)
        try:
            return cls(**arguments)
        except ConfigError as error:  # a value out of its range, which the constructor refuses
            raise ConfigError(f"{where}: {error}") from error

    def provenance(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """All by which two uses of a component may differ, JSON-like; equal uses are equal.

        Returns:
            `name`; `package` with its version; `source`, a hash of the component's code; `options`, all of
            them, defaults included, as the constructor gets them.
        """
        origin = self.origin(name)
        return {
            "name": name,
            "package": f"lbkd {__version__}" if origin == "lbkd" else origin,
            "source": source_hash(self.get(name), self.package),
            "options": self.resolved(name, options),
        }

    def resolved(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options of a component, defaults included, as JSON-like values (see `resolved_options`)."""
        from lbkd.options import resolved_options  # imports pydantic, which a listing does not need

        return resolved_options(self.get(name), options, f"{self.section}.{name}")

    def options(self, name: str) -> list[Option]:
        """The arguments of the component's constructor."""
        signature = inspect.signature(self.get(name), eval_str=True)
        return [
            Option(
                p.name,
                inspect.formatannotation(p.annotation),
                "" if p.default is p.empty else repr(p.default),
            )
            for p in signature.parameters.values()
        ]

    def summary(self, name: str) -> str:
        """First line of the docstring, read without an import; empty for components of other packages."""
        if name in self._files():
            for node in ast.parse(self._files()[name].read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    return (ast.get_docstring(node) or "").partition("\n")[0]
        return ""

    def _files(self) -> dict[str, Path]:
        folder = Path(__file__).parent.joinpath(*self.package.split(".")[1:])
        return {
            path.stem.replace("_", "-"): path for path in folder.glob("*.py") if not path.stem.startswith("_")
        }

    def _entry_points(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in _installed(self.package, tuple(sys.path)):
            found.setdefault(entry.name, []).append(entry)
        return found

    def _origins(self, name: str) -> list[str]:
        origins = ["lbkd"] if name in self._files() else []
        for entry in self._entry_points().get(name, []):
            origins.append(f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value)
        if name in self._scripted:
            origins.append(f"the script's {self._scripted[name].__module__}")
        if not origins:
            raise ConfigError(
                f"no {self.kind} {name!r}; {nearest(name, self.names())} "
                f"Packages add theirs by the entry-point group {self.package!r}; see `lbkd list`."
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


@cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Entry points of the packages on a search path, which a command asks for a hundred times."""
    return tuple(entry_points(group=group))
