"""Interrupts, held back until a step is done and saved."""

import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """In its block, the first SIGINT, SIGTERM or SIGHUP is held back, until the end at the latest.

    A second one takes effect at once. A signal that was ignored before stays so. Python hands signals to the
    main thread only; in another one, nothing is held back.
    """

    def __init__(self) -> None:
        self.came = 0
        """Number of the signal that is held back; 0: none."""
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._former[number] = signal.signal(number, self._hold)
        return self

    def __exit__(self, *_: object) -> None:
        came = self.came
        self._restore()
        if came:
            signal.raise_signal(came)

    def obey(self, number: int) -> None:
        """Let a signal take its usual effect."""
        self._restore()
        signal.raise_signal(number)

    def _hold(self, number: int, _: FrameType | None) -> None:
        if self.came:
            self.obey(number)
        else:
            self.came = number

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former, self.came = {}, 0
