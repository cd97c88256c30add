"""How far a training is, in memory and in a checkpoint."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from lbkd.contracts.fitted import Fitted
from lbkd.errors import DataError
from lbkd.models.run_folder import FinishedRun, converted
from lbkd.workspace import damaged, read_json, unreadable

STATE = "state.json"
"""File of `SavedState` in a checkpoint."""


@dataclass
class TrainingState:
    """How far a training is."""

    step: int = 0
    """Optimizer steps taken or skipped."""
    best: float = -math.inf
    """F1 of the best weights on the selection split."""
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    """The best weights, on rank 0; none where nothing selects."""
    fitted: Fitted | None = None
    """The teachers' weighting, if it learned something."""


class SavedState(BaseModel):
    """Content of `state.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    best: float
    """See `TrainingState`."""
    time: str
    """When the checkpoint was written."""
    zero_stage: int
    run: FinishedRun
    """What `run.json` would tell of the run after so many steps."""

    @property
    def step(self) -> int:
        """Optimizer steps taken or skipped."""
        assert self.run.step is not None
        return self.run.step


def read_checkpoint(folder: Path) -> SavedState:
    """The state of the checkpoint in a folder, whose files are sound.

    Raises:
        DataError: a file that is missing or damaged, or a checkpoint of another version of lbkd; it names the
            file inside the folder.
    """
    if names := damaged(folder):
        raise DataError(f"{names[0]} is missing or damaged")
    content = read_json(folder / STATE)
    run = content.get("run") if isinstance(content, dict) else None
    try:
        return SavedState.model_validate({**content, "run": converted(run)} if run else content)
    except ValueError as error:
        raise DataError(f"{STATE} is {unreadable(run)}") from error
