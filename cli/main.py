"""Entry point: registers the commands, and turns errors that the user can mend into messages."""

import sys
import traceback
from contextlib import suppress
from typing import Annotated, Any

import typer

from lbkd import __version__
from lbkd.errors import ConfigError, FullDiskError, LbkdError, disk_full, out_of_memory

from . import components, data, plan, status, train, translate, trim
from .console import err, own_output, show_error
from .laboratory import explain, report, reproduce, sweep
from .models import calibrate, export, predict, scoring, serve
from .options import Invocation, rank
from .running import LONG, with_first_word, with_usual_signals

app = typer.Typer(
    name="lbkd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="One model that answers questions in many languages: train a teacher per passage language, distil "
    "them into one student, score it.\n\n"
    "[bold]Start with[/] `lbkd demo`, then `lbkd run --corpus YOUR_DATA`.",
    epilog="`lbkd COMMAND --help` shows options and an example.",
)
for module in (
    train,
    scoring,
    calibrate,
    predict,
    serve,
    export,
    trim,
    translate,
    plan,
    reproduce,
    sweep,
    explain,
    report,
    status,
    components,
):
    module.add_to(app)
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"lbkd {__version__}")
        raise typer.Exit


def _debug(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.obj.debug = True


def _quiet(wanted: bool) -> None:
    if wanted:
        err.quiet = True


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", callback=_debug, expose_value=False, help="Show the traceback of an error."),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            callback=_quiet,
            expose_value=False,
            help="Show neither progress nor notes; errors are shown, and log.txt has everything.",
        ),
    ] = False,
    local_rank: Annotated[
        int | None,
        typer.Option("--local_rank", "--local-rank", hidden=True, help="Given by the deepspeed launcher."),
    ] = None,
) -> None:
    pass


def _command_line() -> Any:
    """The command line, whose commands print what is their own, and take `--debug` and `--quiet` anywhere."""
    top = typer.main.get_command(app)
    anywhere = [option for option in top.params if option.name in ("debug", "quiet")]
    commands = [top]
    while commands:
        for command in getattr(commands.pop(), "commands", {}).values():
            command.params += anywhere
            if command.name in LONG:
                command.callback = with_first_word(command.name, command.callback)
            elif command.callback is not None and not hasattr(command, "commands"):
                command.callback = with_usual_signals(command.callback)
            if not hasattr(command, "commands"):
                command.callback = own_output()(command.callback)
            commands.append(command)
    return top


def _whose() -> str:
    """The rank of an error, where others have ranks too and the launcher's variables make sense."""
    with suppress(ConfigError):
        if number := rank():
            return f"rank {number}: "
    return ""


def main() -> None:
    """Run the command line; exit code 2 for an error that the user can mend."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    err.quiet = False
    invocation = Invocation(sys.argv[1:])
    try:
        _command_line().main(invocation.arguments, prog_name="lbkd", obj=invocation)
    except Exception as error:
        lack = out_of_memory(error)
        if lack is None and disk_full(error):
            lack = f"{FullDiskError.of(error).told}; free some, or write to another."
        if lack is None and not isinstance(error, LbkdError | OSError):
            raise
        if invocation.debug:
            traceback.print_exc()
        show_error(_whose() + (lack or str(error)))
        sys.exit(2)
