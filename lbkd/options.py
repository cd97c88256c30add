"""Options of a component, checked against the typed constructor that is their schema."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from lbkd.config import explain
from lbkd.errors import ConfigError


def checked_arguments(target: Callable[..., Any], options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """`options` converted to the types that `target`'s signature declares.

    Raises:
        ConfigError: an option that `target` does not take, a missing one, or a value of the wrong type.
    """
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    fields = {
        p.name: (hints.get(p.name, Any), ... if p.default is p.empty else p.default)
        for p in inspect.signature(target).parameters.values()
    }
    schema: type[BaseModel] = create_model(
        "Options",
        __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True),
        **fields,  # type: ignore[call-overload]
    )
    try:
        checked = schema.model_validate(dict(options))
    except ValidationError as error:
        raise ConfigError(explain(error, what, lambda _: list(fields))) from error
    return {name: getattr(checked, name) for name in fields}
