"""The command `report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import completion
from ..console import err, out, print_json
from ..options import Json, Overwrite, with_settings
from ..running import running

if TYPE_CHECKING:
    from lbkd.config import Settings


@with_settings
def report(
    settings: "Settings",
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs of the workspace, run folders or model folders. \\[default: all finished runs]",
            autocompletion=completion.run,
        ),
    ] = None,
    page: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("report.html"),
    png: Annotated[
        Path | None, typer.Option(help="Folder to write the plots into, as PNG files, too.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write one page with scores, curves, calibration and every answer of some runs, side by side.

    The page is one file that loads nothing from elsewhere. It shows what runs hold; what they lack is told.

    Example: lbkd report

    Example: lbkd report baseline distill.combined.impurity --out two.html --png plots
    """
    from lbkd.reporting.report import check_packages

    check_packages()
    with running(settings, None, trains=False) as project:
        from lbkd.api.work import report_runs

        done = report_runs(project, runs or [], page, png, overwrite)
    if json:
        plots = [str(path) for path in done.plots]
        print_json({"report": str(done.page), "plots": plots, "lacks": done.lacks})
        return
    for name, lacks in done.lacks.items():
        for lack in lacks:
            err.print(f"{name}: {lack}")
    out.print(f"{done.page}: {', '.join(done.lacks)}; open it in a browser")
    for path in done.plots:
        out.print(str(path))


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(report)
