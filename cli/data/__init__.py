"""The commands of `lbkd data`."""

import typer

from .check import check
from .convert import convert
from .download import download
from .phrases import phrases
from .repair import repair
from .split import split
from .stats import stats

app = typer.Typer(
    no_args_is_help=True,
    help="Download, check, convert, repair, count and split data files; mine phrases.\n\n"
    "Example: lbkd data check train.en.json train.es.json",
)
for command in (check, convert, repair, stats, phrases, split, download):
    app.command()(command)
