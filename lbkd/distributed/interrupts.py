"""Signals during training: those that stop it are held back until a step is done and saved."""

import signal
import threading
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command."""
SAVING = signal.SIGUSR1
"""The signal that asks for a checkpoint; SLURM can send it some time before it ends a job."""


class Interrupts:
    """In its block, the first of the signals `STOPPING` is held back, until the end at the latest.

    The same signal a second time takes effect at once. Another one does not: launchers send SIGTERM after
    the terminal's SIGINT. A signal that was ignored before stays so. Python hands signals to the main thread
    only; in another one, nothing is held back.
    """

    def __init__(self) -> None:
        self.came = 0
        """Number of the signal that is held back; 0: none."""
        self.save = False
        """True since `SAVING` came; for the caller to reset."""
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (*STOPPING, SAVING):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    handler = self._want_save if number == SAVING else self._hold
                    self._former[number] = signal.signal(number, handler)
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
        if self.came == number:
            self.obey(number)
        self.came = self.came or number

    def _want_save(self, *_: object) -> None:
        self.save = True

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former, self.came = {}, 0
