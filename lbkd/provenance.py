"""The source code that a component is made of, for telling whether a result is still valid."""

import ast
import hashlib
import inspect
import linecache
import marshal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec, resolve_name
from types import FunctionType
from typing import Any


def source_hash(component: type[Any], package: str) -> str:
    """sha256 of the source of a component's module, of its bases' modules, and of all that these import.

    Modules of `package` and of the component's own package count, loaded or not. A class without a readable
    module, as one typed into a notebook, counts with its own source and its bases', else with their compiled
    methods; other lines of its cell do not count, nor do functions of other cells.

    Args:
        component: the class.
        package: package of the built-in components of the kind, `lbkd.weighting`.
    """
    own = component.__module__.partition(".")[0]
    roots = {package} if own == "lbkd" else {package, own}
    found: dict[str, str] = {}
    wanted = [base.__module__ for base in component.__mro__]
    while wanted:
        name = wanted.pop()
        if name not in found and any(f"{name}.".startswith(f"{root}.") for root in roots):
            found[name] = _module_source(name)
            wanted += _imports(name, found[name])
    if not found[component.__module__]:
        typed = [base for base in component.__mro__ if base.__module__ == component.__module__]
        found[component.__module__] = "\n".join(map(_class_source, typed))
    text = "".join(f"{name}\n{source}\n" for name, source in sorted(found.items()) if source)
    return hashlib.sha256(text.encode()).hexdigest()


def _module_source(name: str) -> str:
    """The source of a module; empty where there is none to be read, or no such module."""
    with suppress(OSError, TypeError, ImportError, ValueError):
        if name in sys.modules:
            return inspect.getsource(sys.modules[name])
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            with open(spec.origin, encoding="utf-8") as file:
                return file.read()
    return ""


def _class_source(component: type[Any]) -> str:
    """The source of a class, from the lines that are kept for its methods' tracebacks, as in a notebook."""
    methods = [value for value in vars(component).values() if isinstance(value, FunctionType)]
    for code in (method.__code__ for method in methods):
        text = "".join(linecache.getlines(code.co_filename))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and node.name == component.__name__:
                first, last = node.lineno, node.end_lineno or node.lineno
                if first <= code.co_firstlineno <= last:
                    return ast.get_source_segment(text, node) or ""
    return "".join(marshal.dumps(method.__code__).hex() for method in methods)


def _imports(name: str, source: str) -> Iterator[str]:
    """Full names of all that a module imports: modules, and names that may be modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                origin = resolve_name(f"{'.' * node.level}{origin}", _package(name))
            yield origin
            yield from (f"{origin}.{item.name}" for item in node.names)


def _package(name: str) -> str:
    spec = find_spec(name)
    return spec.parent or "" if spec is not None else ""
