"""What was tried, what was good, and what was wrong."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table as Drawn


@dataclass
class Table:
    """Trials by kind and by what was disturbed."""

    tried: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(kind, what) -> what was wrong in each trial; empty for a good one."""
    lacking: list[str] = field(default_factory=list)
    """Why the campaign is not complete."""
    skipped: list[str] = field(default_factory=list)
    """What this machine has no means for."""

    def add(self, kind: str, what: str, wrong: str) -> None:
        """Count a trial; an empty text for a good one."""
        self.tried.setdefault((kind, what), []).append(wrong)
        print(f"BAD  {kind}, {what}: {wrong}" if wrong else f"good {kind}, {what}", flush=True)

    def lacks(self, kind: str, what: str, why: str) -> None:
        """Note that something was tried less often than it should be."""
        self.lacking.append(f"{kind}, {what}: {why}")

    def skip(self, what: str) -> None:
        """Note what is not tried on this machine."""
        self.skipped.append(what)

    @property
    def failed(self) -> bool:
        """Whether any trial was bad, or is lacking."""
        return bool(self.lacking) or any(any(found) for found in self.tried.values())

    def show(self) -> None:
        """Print the table."""
        drawn = Drawn("fault", "what", "tried", "good")
        for (kind, what), found in self.tried.items():
            drawn.add_row(kind, what, str(len(found)), str(found.count("")))
        everything = [wrong for found in self.tried.values() for wrong in found]
        drawn.add_row("all", "", str(len(everything)), str(everything.count("")))
        Console(width=100).print(drawn)
        for line in (*self.lacking, *(f"not tried: {what}" for what in self.skipped)):
            print(line)
