"""The files that hold the numbers of a run, step by step."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class MetricsLog:
    """Writes `metrics.jsonl`, one JSON object a line, and TensorBoard's files if TensorBoard is installed.

    Args:
        folder: of the run; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self._file = self.path.open("a", encoding="utf-8")
        self._board = _summary_writer(folder / "tensorboard")

    def write(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Log the numbers of an optimizer step."""
        self._file.write(json.dumps({"step": step, **numbers}) + "\n")
        self._file.flush()
        for name, value in numbers.items():
            if self._board is not None and isinstance(value, int | float):
                self._board.add_scalar(name, value, step)

    def repeat(self, former: Path) -> None:
        """Log the lines of another `metrics.jsonl`."""
        for line in former.read_text(encoding="utf-8").splitlines():
            numbers = json.loads(line)
            self.write(numbers.pop("step"), numbers)

    def close(self) -> None:
        """Flush and close all files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _summary_writer(folder: Path) -> "SummaryWriter | None":
    """A writer of TensorBoard's files; None without the extra `lbkd[tensorboard]`."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard.writer import SummaryWriter

    return SummaryWriter(str(folder))
