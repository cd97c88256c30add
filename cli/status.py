"""The command `status`."""

from dataclasses import asdict

import typer

from .console import json_only, out, print_json, table
from .options import Json, Workspace, make_settings


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


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(status)
