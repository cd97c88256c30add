"""Names that the shell completes as the values of options and arguments; none of them needs torch."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import typer

from lbkd.errors import LbkdError

Complete = Callable[[typer.Context, str], list[str]]


def component(kind: str) -> Complete:
    """Completes the names of components of a kind; those of plugin files, once `--plugin` names them."""

    def names(context: typer.Context, begun: str) -> list[str]:
        from .components import component_registry

        with suppress(LbkdError, OSError):
            _load_plugins(context)
            return [name for name in component_registry(kind).names() if name.startswith(begun)]
        return []

    return names


def component_of_kind(context: typer.Context, begun: str) -> list[str]:
    """Completes the names of components of the kind that was typed before."""
    return component(str(context.params.get("kind")))(context, begun)


def kind(begun: str) -> list[str]:
    """Completes the kinds of components."""
    from .components import component_kinds

    return [name for name in component_kinds() if name.startswith(begun)]


def run(context: typer.Context, begun: str) -> list[str]:
    """Completes the names of the workspace's finished runs."""
    from lbkd.settings import load_settings

    with suppress(LbkdError, OSError):
        given = context.params.get("workspace")
        workspace = Path(given) if given else load_settings({}).workspace
        runs = sorted(path.parent.name for path in (workspace / "runs").glob("*/run.json"))
        return [name for name in runs if name.startswith(begun)]
    return []


def _load_plugins(context: typer.Context) -> None:
    plugins = context.params.get("plugin")
    if plugins:
        from lbkd.settings import load_plugins

        load_plugins([Path(name) for name in plugins])
