"""Options of a component, checked against the typed constructor that is their schema."""

import inspect
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import to_jsonable_python

from lbkd.config import explain
from lbkd.errors import ConfigError


def checked_arguments(target: Callable[..., Any], options: Mapping[str, Any], section: str) -> dict[str, Any]:
    """All arguments of `target`: `options` converted to the declared types, defaults for the others.

    Args:
        target: a class or function with a typed signature.
        options: values by name.
        section: where in the settings the options are set, for messages: `weighting.impurity`.

    Raises:
        ConfigError: an option that `target` does not take, a missing one, or a value of the wrong type.
    """
    hints = _hints(target)
    fields = {
        p.name: (hints.get(p.name, Any), ... if p.default is p.empty else p.default)
        for p in parameters(target)
    }
    schema: type[BaseModel] = create_model(
        "Options",
        __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True),
        **fields,  # type: ignore[call-overload]
    )
    try:
        checked = schema.model_validate(dict(options))
    except ValidationError as error:
        known = [f"{section}.{name}" for name in fields]
        types = {name: type_name(kind) for name, (kind, _) in fields.items()}
        raise ConfigError("\n".join(explain(error, lambda _: known, section, types))) from error
    return {name: getattr(checked, name) for name in fields}


def resolved_options(target: Callable[..., Any], options: Mapping[str, Any], section: str) -> dict[str, Any]:
    """`checked_arguments` as JSON-like values, with absolute paths: equal options are equal values."""
    arguments = checked_arguments(target, options, section)
    for name in path_arguments(target):
        if arguments[name] is not None:
            arguments[name] = os.path.realpath(arguments[name])
    resolved: dict[str, Any] = to_jsonable_python(arguments, fallback=repr)
    return resolved


def parameters(target: Callable[..., Any], *, typed: bool = False) -> list[inspect.Parameter]:
    """The arguments that settings may give: all but `*args` and `**kwargs`.

    Args:
        target: a class or function.
        typed: read annotations that are written as texts.

    Raises:
        NameError: an annotation that names nothing, where `typed`.
    """
    found = inspect.signature(target, eval_str=typed).parameters.values()
    return [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def type_name(annotation: Any) -> str:
    """A type as Python writes it; `any` where nothing is declared."""
    if annotation in (inspect.Parameter.empty, Any):
        return "any"
    return inspect.formatannotation(annotation)


def path_arguments(target: Callable[..., Any]) -> list[str]:
    """Names of the arguments that are paths."""
    return [name for name, kind in _hints(target).items() if name != "return" and is_path(kind)]


def is_path(annotation: Any) -> bool:
    """True for `Path`, and for `Path` or None."""
    return Path in (annotation, *get_args(annotation))


def list_arguments(target: Callable[..., Any]) -> list[str]:
    """Names of the arguments that are lists."""
    return [name for name, kind in _hints(target).items() if name != "return" and is_list(kind)]


def is_list(annotation: Any) -> bool:
    """True for lists, tuples, sets and mappings, and for types that one of them belongs to."""
    kind = get_origin(annotation) or annotation
    collection = isinstance(kind, type) and issubclass(kind, Collection) and kind not in (str, bytes)
    return collection or any(is_list(part) for part in get_args(annotation))


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(target.__init__ if inspect.isclass(target) else target)
