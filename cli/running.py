"""The surroundings of a command's work: first word, ranks, progress, interrupts, errors of several ranks."""

import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from lbkd.distributed.launchers import launched_place
from lbkd.errors import ConfigError, FullDiskError, LbkdError, naming_full_disk

from .console import Reporter, Terminated, err, stoppable
from .leaving import leave_at_signals, usual_signals
from .options import Ranks, rank

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.project import Project


LONG = (
    *("calibrate", "cache-logits", "demo", "distill", "evaluate", "explain", "export"),
    *("plan", "report", "reproduce", "run", "sweep", "train", "translate", "trim"),
)
"""Commands that import PyTorch before they show anything else, which takes seconds."""


def with_first_word(name: str, command: Callable[..., None]) -> Callable[..., None]:
    """A command that says at once what its first seconds go to; of several ranks, the first alone does.

    A signal in these seconds ends the process at once, since imports do not bear exceptions everywhere.
    """

    @functools.wraps(command)
    def spoken(**arguments: Any) -> None:
        leave_at_signals()
        with suppress(ConfigError):  # of a launcher's variables, which the command tells
            place, ranks = launched_place(), arguments.get("nproc") or 1
            if place is None and ranks > 1:
                err.print(f"lbkd {name}: starting {ranks} ranks")
            elif place is None or place.rank == 0:
                err.print(f"lbkd {name}: loading PyTorch and transformers")
        try:
            command(**arguments)
        finally:
            usual_signals()

    return spoken


def with_usual_signals(command: Callable[..., None]) -> Callable[..., None]:
    """A command in which signals do what they usually do, from its first line on."""

    @functools.wraps(command)
    def heard(**arguments: Any) -> None:
        usual_signals()
        command(**arguments)

    return heard


@contextmanager
def running(settings: "Settings", ranks: Ranks | None, *, trains: bool = True) -> "Iterator[Project]":
    """Start the ranks of --nproc; inside a rank, yield the command's project and show its progress.

    Args:
        settings: of the project.
        ranks: the ranks that the command was asked to run in; None for commands without `--nproc`.
        trains: False for a command that only reads or counts, which then does not import DeepSpeed.

    Raises:
        ConfigError: the workspace cannot be written.
        LbkdError: whatever the command raises, a rank that is lost, and memory that ran out. An error that
            ends several ranks is raised on the first of them; the others exit with code 2.
    """
    if ranks is not None:
        ranks.start()
    try:
        reporter = None if rank() else Reporter(settings.workspace / "log.txt")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"workspace {str(settings.workspace)!r} cannot be written: {error}. Name another --workspace."
        ) from error
    from lbkd.api.session import session
    from lbkd.project import Project

    message = "stopped; finished steps are kept: the same command goes on after them"
    with (
        told_once(),
        heard_signals(),
        stoppable(reporter, message),
        told_full_disk(settings.workspace),
        session(settings, trains=trains),
    ):
        yield Project(settings, reporter, ranks.nproc if ranks is not None else None)


@contextmanager
def told_once() -> Iterator[None]:
    """Let the first of the ranks that an error ends raise it; the others exit with code 2."""
    from lbkd.distributed import hosts

    try:
        yield
    except (LbkdError, OSError) as error:
        if hosts.told_by_another("" if isinstance(error, hosts.LostRankError) else str(error)):
            raise typer.Exit(2) from error
        raise


@contextmanager
def told_full_disk(workspace: Path) -> Iterator[None]:
    """Add the remedy to errors that mean a full disk, whatever library raises them."""
    try:
        with naming_full_disk(workspace):
            yield
    except FullDiskError as error:
        raise LbkdError(
            f"{error.told}. Free some, or name a --workspace on another disk; `lbkd plan` tells how much a "
            "run needs. Finished steps are kept: the same command goes on after them."
        ) from error


@contextmanager
def heard_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block with a word, as SIGINT does; SIGUSR1 is for training alone.

    A signal that is ignored, as under nohup, stays ignored.
    """
    usual_signals()
    stopping = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), _stop)
    handlers: dict[signal.Signals, Any] = {**stopping, signal.SIGUSR1: lambda *_: None}
    heard = {n: handler for n, handler in handlers.items() if signal.getsignal(n) != signal.SIG_IGN}
    former = {number: signal.signal(number, handler) for number, handler in heard.items()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise what ends the command; a little later where a finalizer runs, which would swallow it."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            again = threading.Timer(0.05, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
