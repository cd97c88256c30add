"""The files that hold the numbers of a run, step by step."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricsLog:
    """`metrics.jsonl`, one JSON object a line, and the same numbers for TensorBoard."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self.path = folder / "metrics.jsonl"
        self._file = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def write(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Log the numbers of an optimizer step."""
        self._file.write(json.dumps({"step": step, **numbers}) + "\n")
        self._file.flush()
        for name, value in numbers.items():
            if isinstance(value, int | float):
                self._board.add_scalar(name, value, step)

    def repeat(self, former: Path) -> None:
        """Log the lines of another such file."""
        for line in former.read_text(encoding="utf-8").splitlines():
            numbers = json.loads(line)
            self.write(numbers.pop("step"), numbers)

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        self._board.close()
