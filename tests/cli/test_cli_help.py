import re
from collections.abc import Callable
from typing import Any

import pytest
import typer.main

from lbkd import __version__


def commands() -> dict[str, Any]:
    """All commands by what one types."""
    from lbkd_cli.main import app

    group: Any = typer.main.get_command(app)
    found = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {n}": c for n, c in inner.items()} if inner else {name: command}
    return found


NAMES = sorted(commands())


def test_there_they_are() -> None:
    assert {"train", "distill", "cache-logits", "run", "demo", "evaluate", "score", "predict"} < {*NAMES}
    assert "reproduce" in NAMES
    assert "trim" in NAMES
    assert {"list", "show", "info", "data check", "data stats", "data phrases", "data split"} < {*NAMES}


@pytest.mark.parametrize("name", ["", "data", *NAMES])
def test_help(lbkd: Callable[..., Any], name: str) -> None:
    done = lbkd(*name.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert "Args:" not in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    if name:
        assert f"Example: lbkd {name}" in done.out


@pytest.mark.parametrize("name", NAMES)
def test_paragraphs_are_one_line_each(name: str) -> None:
    # Within a paragraph typer keeps line breaks, wherever the terminal's are.
    assert not [p for p in commands()[name].help.split("\n\n")[1:] if "\n" in p]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained(name: str) -> None:
    for option in commands()[name].params:
        assert getattr(option, "hidden", False) or option.help, option.name


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_options_that_exist(name: str) -> None:
    command = commands()[name]
    examples = re.findall(r"Example: lbkd (.*)", command.help)
    known = {opt for option in command.params for opt in option.opts}
    assert examples
    for example in examples:
        assert {word for word in example.split() if word.startswith("--")} <= known
        assert example.startswith(name)


def test_options_for_ranks_only_where_there_are_ranks(lbkd: Callable[..., Any]) -> None:
    assert "--nproc" in lbkd("train", "--help").out
    assert "--nproc" not in lbkd("data", "stats", "--help").out


def test_the_option_of_the_deepspeed_launcher_is_taken(lbkd: Callable[..., Any]) -> None:
    """It stands before the command."""
    assert lbkd("--local_rank=1", "list").out == lbkd("list").out != ""
    assert "local" not in lbkd("--help").out


def test_version(lbkd: Callable[..., Any]) -> None:
    assert lbkd("--version").out == f"lbkd {__version__}\n"


@pytest.mark.parametrize("group", [[], ["data"]])
def test_nothing_typed_shows_help(lbkd: Callable[..., Any], group: list[str]) -> None:
    done = lbkd(*group)
    assert done.code == 2
    assert "Usage: lbkd" in done.out
