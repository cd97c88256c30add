"""Signals before a command has begun: the process ends at once, with a word and the shell's exit code.

While modules are imported, an exception such as KeyboardInterrupt is taken for all sorts of things.
"""

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from lbkd.distributed.launchers import launched_place
from lbkd.errors import ConfigError

_USUAL: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
"""Signals that stop a command, with what Python does about them."""


def leave_at_signals() -> None:
    """Let signals end the process at once, but for those that are ignored or heard by others."""
    for number, usual in _USUAL.items():
        if signal.getsignal(number) == usual:
            signal.signal(number, _leave)


def usual_signals() -> None:
    """Let signals do what they usually do, where `leave_at_signals` changed that."""
    for number, usual in _USUAL.items():
        if signal.getsignal(number) is _leave:
            signal.signal(number, usual)


def _leave(number: int, frame: object) -> None:
    with suppress(ConfigError, OSError):
        place = launched_place()
        if "--quiet" not in sys.argv and (place is None or place.rank == 0):
            os.write(2, b"stopped before anything was begun\n")
    os._exit(128 + number)
