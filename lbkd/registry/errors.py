"""Errors of components that others wrote, told by the component's name and the place in its code."""

import sys
import traceback
from pathlib import Path
from typing import Any

from lbkd.errors import LbkdError


class PluginError(LbkdError, RuntimeError):
    """A component that raises an exception, or that does not do what its kind requires."""

    traceback = ""
    """The traceback of the exception; it stays with an error that is handed to other ranks."""


def raised_inside(
    what: str, error: BaseException, cls: type[Any] | None = None, file: str = ""
) -> PluginError:
    """The error of a component, told in two lines.

    Args:
        what: the component and its part, for the message.
        error: what was raised.
        cls: the component's class; the place that is told is the last one in its package.
        file: the component's file, where there is no class yet.
    """
    module = sys.modules.get(cls.__module__) if cls is not None else None
    home = Path(file or getattr(module, "__file__", None) or "?")
    inside = home.parent if home.stem == "__init__" else home
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(inside)] or frames
    place = ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"\n  {error.filename}:{error.lineno}"
    elif own:
        place = f"\n  {own[-1].filename}:{own[-1].lineno} in {own[-1].name}"
    reason = " ".join(str(error).split())[:300]
    told = PluginError(
        f"{what} raised {type(error).__name__}{': ' * bool(reason)}{reason}{place}; "
        "--debug shows the traceback."
    )
    told.traceback = "".join(traceback.format_exception(error))
    return told
