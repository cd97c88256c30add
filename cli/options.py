"""Options that many commands share, and the settings made from them."""

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError, nearest

from .console import err

if TYPE_CHECKING:
    from lbkd.config import Settings

_DATA = "Data and model"
_RUN = "How to run"

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON value on standard output, all else on standard error.")
]

Workspace = Annotated[Path | None, typer.Option(help="Folder of what was computed. \\[default: lbkd-work]")]

_RANKS = ("nproc", "zero_stage", "deepspeed")
"""Shared options that only commands with ranks have."""
_TRAINING = ("select_on", "overwrite")
"""Shared options that only commands that choose a weighting, and so train, have."""

_SHARED: dict[str, tuple[str | None, Any, Any]] = {
    "corpus": (
        "corpus.dir",
        Path | None,
        typer.Option(
            None,
            help="Folder with <split>.<language>.json files; by default the corpus that ships.",
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
        typer.Option(None, help="The language that the data was written in.", rich_help_panel=_DATA),
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
        typer.Option(
            None, help="Folder for everything that is computed. \\[default: lbkd-work]", rich_help_panel=_DATA
        ),
    ),
    "seed": (
        "seed",
        int | None,
        typer.Option(None, help="Of initialization, dropout and order.", rich_help_panel=_RUN),
    ),
    "nproc": (
        None,
        int | None,
        typer.Option(None, min=1, help="Ranks to start on this machine.", rich_help_panel=_RUN),
    ),
    "select_on": (
        "training.select_on",
        str | None,
        typer.Option(
            None,
            help="Keep the best epoch by F1 on a split in the source language, by default the last.",
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
        typer.Option(None, help="DeepSpeed configuration file, merged over ours.", rich_help_panel=_RUN),
    ),
    "set_": (
        None,
        list[str] | None,
        typer.Option(
            None,
            "--set",
            metavar="KEY=VALUE",
            help="Any setting or component option, e.g. training.epochs=3; repeatable.",
            rich_help_panel=_RUN,
        ),
    ),
}


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options; it receives `settings` made from them.

    One that takes `nproc` also gets the options for several ranks; a `recipe`'s settings lie below them.
    """
    own = inspect.signature(command)
    chosen = {
        name: option
        for name, option in _SHARED.items()
        if ("nproc" in own.parameters or name not in _RANKS)
        and ("weighting" in own.parameters or name not in _TRAINING)
        and not (name == "seed" and "seeds" in own.parameters)
    }

    @functools.wraps(command)
    def wrapper(**arguments: Any) -> None:
        shared = {name: arguments.pop(name) for name in chosen}
        named = {key: shared[name] for name, (key, _, _) in chosen.items() if key is not None}
        if arguments.get("questions") and named["corpus.dir"] is None:
            named["corpus.dir"] = Path("YOUR_DATA")  # numbers do not stand for the corpus that ships
        settings = make_settings(named, shared["set_"], arguments.get("recipe"))
        extra = {"nproc": shared["nproc"]} if "nproc" in own.parameters else {}
        command(**arguments, settings=settings, **extra)

    parameters = [p for name, p in own.parameters.items() if name not in ("settings", "nproc")]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)
        for name, (_, kind, option) in chosen.items()
    ]
    wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def make_settings(options: dict[str, Any], sets: list[str] | None, recipe: str | None = None) -> "Settings":
    """Settings from a recipe, `--set` pairs and options, the later ones winning."""
    from lbkd.config import load, parse_set

    overrides = dict(parse_set(text) for text in sets or [])
    overrides |= {key: value for key, value in options.items() if value is not None}
    if recipe is None:
        return load(overrides)
    from lbkd.reproduction.recipe import read_recipe

    return load(overrides, recipe=(recipe, read_recipe(recipe).settings))


def names(text: str | None) -> list[str] | None:
    """`a, b` as ["a", "b"]; None for an option that was not given."""
    from lbkd.config import split_names

    return None if text is None else split_names(text)


def rank() -> int:
    """Which of a launcher's ranks this process is; 0 without a launcher."""
    from lbkd.distributed.launch import launched

    return int(os.environ["RANK"]) if launched() else 0


def relaunch(nproc: int | None) -> None:
    """Start the ranks of `--nproc`, wait, and exit with their code; return at once in a rank."""
    from lbkd.distributed.launch import launch, launched, this_command

    if nproc is not None and nproc > 1 and not launched():
        code = launch(this_command(), nproc)
        if code == 128 + signal.SIGKILL:  # it had no time to say so itself
            err.print("error: a rank was killed, as the system does where memory runs out", style="bold red")
        sys.exit(code)


def model_folder(name: str, workspace: Path) -> Path:
    """The folder meant by a run's name, a run folder or a model folder."""
    for place in (Path(name), workspace / "runs" / name):
        if (place / "run.json").exists() or (place / "config.json").exists():
            return place
    runs = sorted(path.parent.name for path in (workspace / "runs").glob("*/run.json"))
    raise ConfigError(
        f"{name!r} is no run in {workspace}/runs and no model folder; {nearest(name, runs)} "
        "A model folder has a config.json."
    )
