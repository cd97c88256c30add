"""Options that many commands share, and the settings made from them."""

import functools
import inspect
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import completion
from .console import descriptor, show_error

if TYPE_CHECKING:
    from lbkd.config import Settings

_DATA = "Data and model"
_RUN = "How to run"

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON value on standard output, all else on standard error.")
]

CriterionName = Annotated[
    str | None,
    typer.Option(
        "--criterion",
        help="Loss: see `lbkd list criterions`. \\[default: the task's]",
        autocompletion=completion.component("criterions"),
    ),
]
WeightingName = Annotated[
    str | None,
    typer.Option(
        help="Weights of the teachers: see `lbkd list weighting`. \\[default: impurity]",
        autocompletion=completion.component("weighting"),
    ),
]

RunName = Annotated[
    str | None,
    typer.Option(
        "--name", help="Name of the run's folder, in <workspace>/runs. \\[default: tells task and components]"
    ),
]

TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the model.")
]

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace files that lbkd did not write, or that were changed since lbkd wrote them.",
    ),
]

_PLUGIN = "File of Python that registers components of yours; repeatable."
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help=_PLUGIN)]

Workspace = Annotated[Path | None, typer.Option(help="Folder of all results. \\[default: lbkd-work]")]

RANKS = ("nproc", "zero_stage", "deepspeed", "track")
"""Shared options of the commands that may run in several ranks."""
_TRAINING = ("select_on", "overwrite")
"""Shared options of the commands that train a student, and therefore have `--weighting`."""

_MADE = ("context", "settings", "ranks", "axes")
"""Parameters that `with_settings` gives."""
_SHARED: dict[str, tuple[str | None, Any, Any]] = {
    "corpus": (
        "corpus.dir",
        Path | None,
        typer.Option(
            None,
            help="Folder with <split>.<language>.json files. \\[default: the corpus that ships]",
            rich_help_panel=_DATA,
        ),
    ),
    "languages": (
        "corpus.languages",
        str | None,
        typer.Option(None, help="Languages with training data, e.g. en,es,de.", rich_help_panel=_DATA),
    ),
    "source": (
        "corpus.source",
        str | None,
        typer.Option(None, help="Language that the data was written in.", rich_help_panel=_DATA),
    ),
    "model": (
        "model.name",
        str | None,
        typer.Option(
            None, help="Pretrained encoder: a folder, a hub id, or e5-small.", rich_help_panel=_DATA
        ),
    ),
    "workspace": (
        "workspace",
        Path | None,
        typer.Option(None, help="Folder of all results. \\[default: lbkd-work]", rich_help_panel=_DATA),
    ),
    "seed": (
        "seed",
        int | None,
        typer.Option(None, help="Seed of initialization, dropout and order.", rich_help_panel=_RUN),
    ),
    "nproc": (
        None,
        int | None,
        typer.Option(None, min=1, help="Number of ranks to start on this machine.", rich_help_panel=_RUN),
    ),
    "select_on": (
        "training.select_on",
        str | None,
        typer.Option(
            None,
            help="Split of the source language to choose the best epoch by. \\[default: keep the last]",
            rich_help_panel=_RUN,
        ),
    ),
    "overwrite": (
        "overwrite",
        bool | None,
        typer.Option(
            None,
            "--overwrite",
            help="Train anew where a finished run was trained with other settings.",
            rich_help_panel=_RUN,
        ),
    ),
    "zero_stage": (
        "runtime.zero_stage",
        int | None,
        typer.Option(None, min=0, max=3, help="DeepSpeed ZeRO stage.", rich_help_panel=_RUN),
    ),
    "deepspeed": (
        "runtime.deepspeed",
        Path | None,
        typer.Option(
            None,
            help="DeepSpeed configuration file; docs/deepspeed.md tells what it may say.",
            rich_help_panel=_RUN,
        ),
    ),
    "plugin": (
        "plugins",
        list[Path] | None,
        typer.Option(None, "--plugin", help=_PLUGIN, rich_help_panel=_RUN),
    ),
    "track": (
        "tracker.name",
        str | None,
        typer.Option(
            None,
            help="Tools that show the numbers: `lbkd list trackers`.",
            rich_help_panel=_RUN,
            autocompletion=completion.component("trackers"),
        ),
    ),
    "set_": (
        None,
        list[str] | None,
        typer.Option(
            None,
            "--set",
            metavar="KEY=VALUE",
            help="A setting or a component's option, e.g. training.epochs=3; repeatable.",
            rich_help_panel=_RUN,
        ),
    ),
}


@dataclass
class Invocation:
    """One call of the command line; `typer.Context.obj` of every command."""

    arguments: Sequence[str]
    """As typed, without the program's name."""
    debug: bool = False
    """Show the traceback of an error that the user can mend."""


@dataclass(frozen=True)
class Ranks:
    """The ranks that `--nproc` asks for."""

    nproc: int | None
    """Number of ranks; None where the option was not given."""
    arguments: Sequence[str]
    """Arguments of `lbkd` that each rank is started with."""

    def start(self) -> None:
        """Start the ranks, wait for them, and exit with their code; return at once inside a rank."""
        from lbkd.distributed.launch import launch
        from lbkd.distributed.launchers import launched

        if self.nproc is None or self.nproc == 1 or launched():
            return
        code = launch([sys.executable, "-m", "lbkd_cli", *self.arguments], self.nproc, descriptor())
        if code == 128 + signal.SIGKILL:  # a killed rank cannot show a message
            show_error("a rank was killed, as the system does where memory runs out")
        sys.exit(code)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add the shared options to a command, which receives the `settings` made from them.

    A command with a parameter `ranks` gets the options for several ranks too; one with `axes`, the values of
    its grid. The settings of its `recipe` lie below the options; `questions` stand for a corpus left unnamed.
    """
    own = inspect.signature(command).parameters
    chosen = {
        name: option
        for name, option in _SHARED.items()
        if ("ranks" in own or name not in RANKS)
        and ("weighting" in own or name not in _TRAINING)
        and not (name == "seed" and "seeds" in own)
    }

    @functools.wraps(command)
    def wrapper(context: typer.Context, **arguments: Any) -> None:
        shared = {name: arguments.pop(name) for name in chosen}
        named = {key: shared[name] for name, (key, _, _) in chosen.items() if key is not None}
        made = {"context": context, "ranks": Ranks(shared.get("nproc"), context.obj.arguments)}
        sets = shared["set_"]
        if "axes" in own:
            from lbkd.reproduction.recipe import given_axes

            made["axes"], sets = given_axes(named, sets or (), arguments["recipe"])
        made["settings"] = settings = make_settings(named, sets, arguments.get("recipe"))
        if arguments.get("questions") and "dir" not in settings.corpus.model_fields_set:
            made["settings"] = make_settings(named | {"corpus.dir": Path("YOUR_DATA")}, sets)
        command(**arguments, **{name: value for name, value in made.items() if name in own})

    parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_ONLY, annotation=typer.Context)]
    parameters += [p for name, p in own.items() if name not in _MADE]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)
        for name, (_, kind, option) in chosen.items()
    ]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def given(context: typer.Context) -> dict[str, Any]:
    """Parameter's name -> value, for the parameters that were typed on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {
        name: context.params[name]
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    }


def as_arguments(context: typer.Context, values: dict[str, Any]) -> list[str]:
    """The options of a command that give its parameters these values; True stands for a flag."""
    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    arguments = []
    for name, value in values.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            arguments += [flags[name]] if one is True else [flags[name], str(one)]
    return arguments


def make_settings(options: dict[str, Any], sets: list[str] | None, recipe: str | None = None) -> "Settings":
    """Settings from a recipe, `--set` pairs and options, the later ones winning."""
    from lbkd.settings import load_settings, parse_set

    overrides = dict(parse_set(text) for text in sets or [])
    overrides |= {key: value for key, value in options.items() if value is not None}
    if recipe is None:
        return load_settings(overrides)
    from lbkd.reproduction.recipe import read_recipe

    return load_settings(overrides, recipe=(recipe, read_recipe(recipe).settings))


def names(text: str | None) -> list[str] | None:
    """`a, b` as ["a", "b"]; None for an option that was not given."""
    from lbkd.config import split_names

    return None if text is None else split_names(text)


def rank() -> int:
    """Rank of this process in a launcher's ranks; 0 without a launcher.

    Raises:
        ConfigError: see `launchers.launched_place`.
    """
    from lbkd.distributed.launchers import launched_place

    place = launched_place()
    return place.rank if place is not None else 0
