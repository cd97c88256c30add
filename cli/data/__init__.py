"""The commands of `lbkd data`."""

import typer

from . import commands, convert

app = typer.Typer(
    no_args_is_help=True,
    help="Download, check, convert, repair, count and split data files; mine phrases.\n\n"
    "Example: lbkd data check train.en.json train.es.json",
)
for module in (commands, convert):
    module.add_to(app)
