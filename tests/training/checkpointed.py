"""Runs that were stopped and went on, beside runs that never were."""

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file

from lbkd.config import Settings
from lbkd.engine import meter
from lbkd.project import Project
from lbkd.training.loop import TrainingLoop
from lbkd.training.run import Components
from lbkd.training.steps import train

STEPS = {
    "model.dropout": 0.2,
    "training.max_steps": 8,
    "training.question_languages_per_example": 2,
    "training.checkpoint_minutes": 1e-9,  # after every step
}
TIMES = {"tokens_per_second", "peak_share"}


class Killed(BaseException):
    """Instead of the kernel's way, which ends the tests too."""


class Notes:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """Not kept."""


@contextmanager
def dying_after(steps: int) -> Iterator[None]:
    count, kept = itertools.count(), TrainingLoop._optimize

    def step(*arguments: Any) -> None:
        if next(count) == steps:
            raise Killed
        kept(*arguments)

    with mock.patch.object(TrainingLoop, "_optimize", step), pytest.raises(Killed):
        yield


def go(how: Settings, task: str = "mix-mrc", dies_after: int | None = None) -> list[str]:
    """Train to the end, or for so many steps more; what was told."""
    listener = Notes()
    with (
        mock.patch.object(meter, "matmul_peak", lambda *_: 1e10),
        dying_after(dies_after) if dies_after is not None else nullcontext(),
    ):
        train(Project(how, listener), Components.from_settings(how, task))
    return listener.notes


def kept(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def check_same_run(one: Path, other: Path) -> None:
    """Every step was logged once with the same numbers, and weights are the same to the last bit."""
    mine, theirs = (logged(run) for run in (one, other))
    assert mine == theirs, [pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]][:2]
    assert [line["step"] for line in mine] == [*range(1, len(mine) + 1)]
    weights, expected = (load_file(run / "model" / "model.safetensors") for run in (one, other))
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)


def logged(run: Path) -> list[dict[str, float]]:
    """Lines of metrics.jsonl, but for how fast it went."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in line if name not in TIMES} for line in lines]
