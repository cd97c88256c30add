"""SIGTERM and SIGINT in each phase: the exit code, a word, no orphans, and a command that goes on after them.

A real `--nproc 2` is stopped, too, as are commands that were started from nothing, in their first seconds.
"""

import random
import signal
import time
from collections.abc import Sequence

from benchmarks.faults.kills import await_phase
from benchmarks.faults.processes import Started, real, wrong_words
from benchmarks.faults.report import Table
from benchmarks.faults.scenes import Scene

_WORD = "stopped"
_GRACE = 60.0
"""Seconds that a command has to end in."""


def scene_signals(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Stop the command in each phase so often, by each signal in turn."""
    for phase in scene.phases:
        for n in range(times):
            number = (signal.SIGTERM, signal.SIGINT)[n % 2]
            scene.reset()
            started = scene.begin()
            await_phase(scene, phase, started, chance)
            started.send(number)
            wrong = stopped(started, number) or scene.completed()
            table.add(
                "signal", f"{scene.name}: {phase.name}" if scene.name != phase.name else phase.name, wrong
            )


def first_seconds(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Stop commands that were started from nothing, before or while they import their packages."""
    for n in range(times):
        number = (signal.SIGTERM, signal.SIGINT)[n % 2]
        scene.reset()
        started = real(scene.words, scene.place.parent / "real.out")
        time.sleep(chance.uniform(0.05, 4.0))
        told = started.told()
        started.send(number)
        wrong = stopped(started, number, silent=not told)
        table.add("signal", f"{scene.name}: importing", wrong or scene.completed())


def launched_ranks(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Stop a command that started two ranks of its own."""
    for n in range(times):
        number = (signal.SIGTERM, signal.SIGINT)[n % 2]
        scene.reset()
        started = real([*scene.words, "--nproc", "2"], scene.place.parent / "real.out")
        time.sleep(chance.uniform(1.0, 20.0))
        started.send(number)
        table.add("signal", f"{scene.name}: --nproc 2", stopped(started, number))


def stopped(started: Started, number: int, silent: bool = False) -> str:
    """What is wrong with the end of a command that was told to stop; empty if nothing is.

    Args:
        started: the command.
        number: of the signal.
        silent: the command may end without a word, since Python has not come to lbkd's first line.
    """
    codes = started.wait(_GRACE)
    told = started.told()
    if silent and "lbkd" not in told.replace("lbkd_cli", ""):
        told = ""  # Python's own words of a signal in its first moments
    if not any(codes):  # it was done before the signal came
        return wrong_words(told)
    if any(code not in _codes(number) for code in codes):
        return f"signal {number}: ended with {codes}: {told.strip()[-600:]}"
    if not silent and _WORD not in told:
        return f"signal {number}: ended without a word: {told.strip()[-300:]}"
    if orphans := started.orphans():
        return f"signal {number}: left the processes {orphans} behind"
    return wrong_words(told)


def _codes(number: int) -> Sequence[int]:
    """Exit codes of docs/cli.md; a rank may find that another one is gone."""
    return (128 + number, 0)
