"""Signals that come at an unlucky moment of a command's work."""

import os
import signal
import time

import pytest
from lbkd_cli.console import Terminated
from lbkd_cli.running import heard_signals


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_finalizer_swallows_no_signal(number: signal.Signals, raised: type[BaseException]) -> None:
    """Python ignores what is raised in `__del__`."""

    class Last:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            time.sleep(0.01)

    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(raised), heard_signals():
            Last()
            time.sleep(10)
    finally:
        signal.signal(signal.SIGINT, former)
