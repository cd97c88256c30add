"""Processes that tests start as a terminal would."""

import signal


def hear_signals() -> None:
    """For `preexec_fn`: hear signals that the tests may ignore, as under nohup or in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
