"""TensorBoard."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lbkd.trackers import TrackedRun, Tracker, need

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class TensorBoard(Tracker):
    """TensorBoard's files, in the folder `tensorboard` of each run.

    `tensorboard --logdir lbkd-work/runs` shows them. A run that goes on writes its files anew.
    """

    def __init__(self) -> None:
        self._board: SummaryWriter

    def check(self) -> None:
        need("tensorboard", "tensorboard")

    def begin(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._board = SummaryWriter(str(run.folder / "tensorboard"))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def end(self, finished: bool) -> None:
        self._board.close()
