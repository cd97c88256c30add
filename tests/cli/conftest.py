import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS

TINY = ["--languages", "en,es", "--set", "corpus.zero_shot=hi", "--set", "corpus.limit=2"]
"""Options that leave two passages in three languages."""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on standard output."""
        assert self.out, self  # what went wrong is on standard error
        return json.loads(self.out)


def run(*arguments: object, stdin: str = "") -> Done:
    """`lbkd ARGUMENTS` in this process, from `main` on; any exception but SystemExit comes through."""
    # Not typer's CliRunner: that one starts below `main`, where errors are not messages yet.
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in "12"]
    code: Any = 0
    environment = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lbkd", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin.encode()))))
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            from lbkd_cli.main import main

            try:
                main()
            except SystemExit as stop:
                code = stop.code or 0
            finally:
                os.environ.clear()
                os.environ.update(environment)
    out, err = (stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]
    return Done(code, re.sub(r"\x1b\[[\d;]*m", "", out), re.sub(r"\x1b\[[\d;]*m", "", err))


@pytest.fixture(scope="session")
def lbkd() -> Callable[..., Done]:
    """Runs a command line in this process."""
    return run


@pytest.fixture
def refused() -> Callable[..., str]:
    """Runs a command line that must end with exit code 2 and a message; the message in one line."""

    def refuse(*arguments: object, stdin: str = "") -> str:
        done = run(*arguments, stdin=stdin)
        assert done.code == 2, done
        assert not done.out
        assert "Traceback" not in done.err
        return " ".join(re.sub("[│╭╮╰╯─]", " ", done.err).split())

    return refuse


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every command is run."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture(scope="session")
def two_languages() -> list[str]:
    """Options that leave little of the corpus that ships."""
    return TINY


@pytest.fixture
def gold() -> Path:
    """A data file."""
    return BUILTIN_CORPUS / "test.en.json"


@pytest.fixture
def wrote(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Writes a file: text as it is, anything else as JSON."""

    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def options(
    tiny_model_folder: Path, two_languages: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    """Options of every command that trains; all share one workspace."""
    workspace = tmp_path_factory.mktemp("work") / "space"
    return ["--model", tiny_model_folder, *two_languages, "--workspace", workspace]


@pytest.fixture(scope="session")
def workspace(options: list[Any]) -> Path:
    """The workspace that these commands share."""
    folder: Path = options[-1]
    return folder


@pytest.fixture(scope="session")
def short(options: list[Any]) -> list[Any]:
    """The options, and two steps of training."""
    return [*options, "--set", "training.max_steps=2", "--set", "training.log_every=1"]


@pytest.fixture(scope="session")
def baseline(lbkd: Callable[..., Done], short: list[Any]) -> Done:
    """A trained baseline: what the command did."""
    return lbkd("train", "--task", "baseline", *short)


@pytest.fixture(scope="session")
def student(lbkd: Callable[..., Done], short: list[Any], baseline: Done) -> Done:
    """A distilled student: what the command did, with --json."""
    return lbkd("distill", *short, "--json")
