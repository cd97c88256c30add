"""The commands `status` and `check`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from . import completion
from .components import component_registry, named
from .console import out, print_json, table
from .options import CriterionName, Json, Plugins, WeightingName, Workspace, make_settings, with_settings
from .running import running

if TYPE_CHECKING:
    from lbkd.config import Settings


def status(workspace: Workspace = None, plugin: Plugins = None, json: Json = False) -> None:
    """Show which runs and teachers' logits of a workspace are done, stale, damaged or missing.

    Every run is held against the settings that it was trained with; what has changed since makes it stale.

    Example: lbkd status --workspace lbkd-work
    """
    folder = make_settings({"workspace": workspace, "plugins": plugin}, None).workspace
    from lbkd.planning.status import workspace_status

    found = [asdict(each) for each in workspace_status(folder)]
    if json:
        print_json(found)
    elif found:
        table(["kind", "name", "status", "about"], [list(each.values()) for each in found])
    else:
        out.print(f"{folder} holds no runs.")


@with_settings
def check(
    settings: "Settings",
    kind: Annotated[
        str | None,
        typer.Argument(
            help="task, criterion, weighting, translator or tracker. \\[default: the whole run]",
            autocompletion=completion.kind,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(
            help="A name from `lbkd list`: tries this one alone.", autocompletion=completion.component_of_kind
        ),
    ] = None,
    criterion: CriterionName = None,
    weighting: WeightingName = None,
    json: Json = False,
) -> None:
    """Check everything that settings and files tell before `lbkd run` starts; train nothing.

    Files, components and options, test questions that are trained on, the metric, finished runs.

    Criterions and weightings are tried on a small made-up batch, as they are before every training.

    Example: lbkd check --corpus my-data --languages en,es,de

    Example: lbkd check weighting my-own --plugin mine.py
    """
    if kind is not None:
        _check_component(settings, kind, name, json)
        return
    with running(settings, None, trains=False) as project:
        from lbkd.training.check import checked_runs
        from lbkd.training.run import Components

        student = Components.from_settings(settings, "distill", None, criterion, weighting)
        names = [run.name for run in checked_runs(project, student)]
    if json:
        print_json({"runs": names})
    else:
        out.print(f"good: `lbkd run` may train {', '.join(names)}")


def _check_component(settings: "Settings", kind: str, name: str | None, json: bool) -> None:
    registry = component_registry(kind)
    name = named(registry, name)
    with running(settings, None, trains=False):
        from lbkd.training.check import check_component

        found = check_component(settings, registry, name)
    described = registry.described(registry.get(name))
    print_json({"component": described, **found}) if json else out.print(
        f"good: {described}" + "".join(f"\n  {key}: {value}" for key, value in found.items())
    )


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (status, check):
        app.command()(command)
