"""Processes that tests start as a terminal would."""

import signal


def hear_signals() -> None:
    """For `preexec_fn`: hear signals that the tests may ignore, as under nohup or in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)


def killed_after(steps: int) -> str:
    """Code that has SIGKILL end its process once the training loop has made so many steps."""
    return f"""
import itertools, os, signal
from lbkd.training.loop import TrainingLoop

count, kept = itertools.count(), TrainingLoop._optimize

def step(*arguments):
    if next(count) == {steps}:
        os.kill(os.getpid(), signal.SIGKILL)
    kept(*arguments)

TrainingLoop._optimize = step
"""
