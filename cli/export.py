"""The command `export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import out, print_json, table
from .options import Json, with_settings
from .running import running

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.exporting.export import ExportedModel


@with_settings
def export(
    settings: "Settings",
    run: Annotated[str, typer.Argument(help="A run of the workspace, a run folder or a model folder.")],
    out_: Annotated[Path, typer.Option("--out", help="Folder to write, which must not exist yet.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Make layers whole numbers of 8 bits: smaller, and faster on CPUs.")
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="Most F1 that int8 may lose in any language. \\[default: 0.5]"),
    ] = None,
    json: Json = False,
) -> None:
    """Write a model as an ONNX folder, which is asked without torch and transformers.

    The exported answers are held against torch's on a test split, in every language: that of --corpus, else
    of the corpus that the run was trained on, else of the one that ships.

    Where int8 costs a language more F1 than --tolerance, the layers that hurt most stay in fp32.

    An export that does not hold is refused, with the table of all languages.

    Example: lbkd export distill.combined.impurity --out student-onnx

    Example: lbkd export distill.combined.impurity --int8 --corpus my-data --out student-int8
    """
    with running(settings, None, trains=False) as project:
        from lbkd.api.work import export_model

        written = export_model(project, run, out_, int8, tolerance)
    if json:
        print_json(written.row())
    else:
        _show(written)


def _show(written: "ExportedModel") -> None:
    from lbkd.exporting.table import HEADINGS, cells

    table(HEADINGS, cells(written.scores))
    out.print()
    if written.precision == "int8":
        fp32 = f", {len(written.kept)} in fp32: {', '.join(written.kept)}" if written.kept else ""
        out.print(f"int8: {written.layers - len(written.kept)} of {written.layers} layers{fp32}")
    out.print(f"written: {written.folder} ({written.megabytes:,.1f} MB)")


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(export)
