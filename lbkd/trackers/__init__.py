"""Tools that show the numbers of runs, beside `metrics.jsonl`: one tool a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lbkd.errors import ConfigError
from lbkd.registry import Registry


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run."""

    name: str
    """The run folder's name, such as `distill.combined.impurity`."""
    folder: Path
    """Folder `training` in the run's: copied into the run folder if the run ends well, else left there."""
    workspace: Path
    """Folder that all runs share."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All that the weights depend on, and versions of packages: JSON-like values by dotted name."""
    id: str | None = None
    """What `begin` returned earlier for this run, which goes on now; None for a new one."""
    made_up: bool = False
    """True for the run on which a tracker is tried before a training: keep it out of others' sight."""


class Tracker(ABC):
    """Shows the numbers of runs in a tool.

    Subclass requirements:

    - `begin`, `log` and `end` are implemented. Checked when the class is registered or loaded.
    - The constructor's arguments are typed: they are the options, and `lbkd show tracker NAME` lists them.
    - `begin` is followed by any number of `log` and one `end`; then a run may begin again, on the same
      instance. Tried before training, on a made-up run that is then taken up again.
    - Nothing is printed on standard output, which is for results. Tried before training.

    Rank 0 alone has trackers. One that raises while training is told once and left out; training goes on.
    """

    def check(self) -> None:
        """Raise a ConfigError for a package that is missing or for options that do not fit.

        It is called before anything is trained.
        """
        return

    @abstractmethod
    def begin(self, run: TrackedRun) -> str | None:
        """Open a run in the tool, or the one called `run.id` again.

        Returns:
            The run's identifier in the tool, by which it can be opened again. Another one than `run.id`, or
            None, says that the tool has a new run, which is told all numbers from the first step on.
        """

    @abstractmethod
    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Show numbers by name; `step` counts optimizer steps and never falls.

        A number of one name comes at most once for each step.
        """

    @abstractmethod
    def end(self, finished: bool) -> None:
        """Close the run; `finished` is False for one that failed or was stopped, which may go on later."""


registry: Registry[Tracker] = Registry("lbkd.trackers", Tracker)


def need(package: str, extra: str) -> None:
    """Refuse to go on without a package.

    Args:
        package: as it is imported.
        extra: of lbkd, which brings it.

    Raises:
        ConfigError: the package is not installed.
    """
    if find_spec(package) is None:
        raise ConfigError(f"tracker {extra!r} needs a package: pip install 'lbkd[{extra}]'")
