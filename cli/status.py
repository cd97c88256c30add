"""The commands `status` and `check`."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from .console import json_only, out, print_json, table
from .options import CriterionName, Json, WeightingName, Workspace, make_settings, with_settings
from .running import running

if TYPE_CHECKING:
    from lbkd.config import Settings


def status(workspace: Workspace = None, json: Json = False) -> None:
    """Show which runs and teachers' logits of a workspace are done, stale, damaged or missing.

    Every run is held against the settings that it was trained with; what has changed since makes it stale.

    Example: lbkd status --workspace lbkd-work
    """
    folder = make_settings({"workspace": workspace}, None).workspace
    from lbkd.planning.status import workspace_status

    with json_only(json):
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
    criterion: CriterionName = None,
    weighting: WeightingName = None,
    json: Json = False,
) -> None:
    """Check everything that settings and files tell before `lbkd run` starts; train nothing.

    Files, components and options, test questions that are trained on, the metric, finished runs.

    Example: lbkd check --corpus my-data --languages en,es,de
    """
    with running(settings, None, json, trains=False) as project:
        from lbkd.training.check import checked_runs
        from lbkd.training.run import Components

        student = Components.from_settings(settings, "distill", None, criterion, weighting)
        names = [run.name for run in checked_runs(project, student)]
    if json:
        print_json({"runs": names})
    else:
        out.print(f"good: `lbkd run` may train {', '.join(names)}")


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (status, check):
        app.command()(command)
