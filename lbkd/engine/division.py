"""The windows of a global batch, divided into the micro-batches of the ranks."""

import math
from typing import NamedTuple

from lbkd.config import TrainingSettings


class Division(NamedTuple):
    """How the windows of a global batch are divided, and which part is this rank's."""

    rank: int
    world_size: int
    gradient_accumulation_steps: int

    @classmethod
    def of(cls, training: TrainingSettings, rank: int, world_size: int) -> "Division":
        """The division of a rank, with as few micro-batches as the settings allow."""
        micro_batch_size = training.micro_batch_size or training.batch_size
        return cls(rank, world_size, math.ceil(training.batch_size / (world_size * micro_batch_size)))

    @property
    def micro_batches(self) -> int:
        """Micro-batches that all ranks together make of a global batch."""
        return self.world_size * self.gradient_accumulation_steps
