"""Entry point: commands are imported when they are called, errors become messages."""

import sys
import time
import traceback
from typing import Annotated

import typer

from lbkd import __version__
from lbkd.errors import LbkdError

from . import components, data, infer, plan, reproduce, train, translate, trim
from .console import err
from .options import rank

app = typer.Typer(
    name="lbkd",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="One model that answers questions in many languages: train a teacher per passage language, distil "
    "them into one student, score it.\n\n"
    "[bold]Start with[/] `lbkd demo`, then `lbkd run --corpus YOUR_DATA`.",
    epilog="`lbkd COMMAND --help` shows options and an example. `--debug` shows tracebacks.",
)
for module in (train, infer, trim, translate, plan, reproduce, components):
    module.add_to(app)
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"lbkd {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    local_rank: Annotated[
        int | None,
        typer.Option("--local_rank", "--local-rank", hidden=True, help="The deepspeed launcher's."),
    ] = None,
) -> None:
    pass


def main() -> None:
    """Run the command line; exit code 2 for anything that the user can mend."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    try:
        app([a for a in sys.argv[1:] if a != "--debug"], prog_name="lbkd")
    except (LbkdError, OSError) as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        if rank():
            time.sleep(10)  # an error that all ranks share is told by the first; the launcher ends the others
        err.print("[bold red]error:[/] ", markup=True, end="")
        err.print((f"rank {rank()}: " if rank() else "") + str(error))
        sys.exit(2)
