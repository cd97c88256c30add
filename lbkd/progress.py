"""Listeners to the progress of long work."""

from collections.abc import Callable, Mapping
from typing import Protocol

Progress = Callable[[str, int, int, Mapping[str, float]], None]
"""`Listener.progress` as a function, for work that reports progress and no notes."""


class Listener(Protocol):
    """Shows the progress of long work, as a drawing or as lines."""

    def note(self, message: str) -> None:
        """Show a message on a line of its own."""

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """Show that `done` of `total` steps of the work `what` are done, and the current numbers by name."""


class Silent:
    """A listener that shows nothing."""

    def note(self, message: str) -> None:
        """Ignore the message."""

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """Ignore the progress."""
