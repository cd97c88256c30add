"""The file that holds the numbers of a run, step by step."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbkd.tracking.telling import Tracking


class MetricsLog:
    """Writes `metrics.jsonl`, one JSON object a line, and tells the run's trackers the same numbers.

    Args:
        folder: of the run; must exist.
        tracking: of the run; None where there are no trackers.
    """

    def __init__(self, folder: Path, tracking: Tracking | None = None) -> None:
        self.path = folder / "metrics.jsonl"
        self._file = self.path.open("a", encoding="utf-8")
        self._tracking = tracking

    def write(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Log the numbers of an optimizer step."""
        self._file.write(json.dumps({"step": step, **numbers}) + "\n")
        self._file.flush()
        if self._tracking is not None:
            self._tracking.log(step, numbers)

    def repeat(self, former: Path) -> None:
        """Log the lines of another `metrics.jsonl`; trackers are told those that they have not heard."""
        for line in former.read_text(encoding="utf-8").splitlines():
            numbers = json.loads(line)
            self.write(numbers.pop("step"), numbers)

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()
