"""Where messages and progress go when Python calls: to logging, and to bars if asked."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lbkd.progress import Silent

if TYPE_CHECKING:
    from tqdm.auto import tqdm

_LOGGER = logging.getLogger("lbkd")
_SHOWN = ("loss", "nll", "kd", "mlm")
"""Numbers beside a bar."""


class Logged(Silent):
    """Hands messages to Python's logging: to the logger `lbkd`, with the level INFO."""

    def note(self, message: str) -> None:
        """Log the message."""
        _LOGGER.info(message)

    def close(self) -> None:
        """Do nothing: nothing is open."""


class Bars(Logged):
    """Draws a bar for each work: a widget in a notebook that has ipywidgets, text on stderr elsewhere."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: tqdm[Any] | None = None

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """Move the bar of `what`."""
        from tqdm.auto import tqdm

        if self._bar is None or self._what != what:
            self.close()
            self._what, self._bar = what, tqdm(total=total, desc=what)
        shown = {name: f"{numbers[name]:.3g}" for name in _SHOWN if name in numbers}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
