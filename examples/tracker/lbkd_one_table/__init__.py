"""A tracker for lbkd, in a package of its own."""

from collections.abc import Mapping

from lbkd import TrackedRun, Tracker


class OneTable(Tracker):
    """A line in one file for each number of all runs: run, step, name, number, separated by tabs.

    Args:
        file: its name; the file lies in the workspace.
    """

    def __init__(self, file: str = "numbers.tsv") -> None:
        self.file = file

    def begin(self, run: TrackedRun) -> str:
        self.name, self.lines = run.name, (run.workspace / self.file).open("a", encoding="utf-8")
        return run.name  # so a run that goes on is told what is new, and a finished one its scores

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self.lines.write(f"{self.name}\t{step}\t{name}\t{number!r}\n")
        self.lines.flush()

    def end(self, finished: bool) -> None:
        self.lines.close()
