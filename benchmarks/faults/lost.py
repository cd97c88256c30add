"""A rank that is lost, and a host that never comes: the others end with a sentence, a new start goes on."""

import functools
import random
import signal
import time
from datetime import timedelta

from benchmarks.faults.kills import await_phase
from benchmarks.faults.processes import rank_processes, wrong_words
from benchmarks.faults.report import Table
from benchmarks.faults.scenes import Scene

_WAIT = timedelta(seconds=3)
"""What stands in for the ten minutes that ranks wait for one another."""


def lost_rank(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Kill one of two ranks in each phase."""
    for phase in scene.phases:
        for n in range(times):
            scene.reset()
            started = scene.begin()
            await_phase(scene, phase, started, chance)
            gone = n % scene.ranks
            started.send(signal.SIGKILL, only=gone)
            codes = started.wait()
            told, wrong = started.told(), ""
            if any(code not in (0, 2, 137) for code in codes) or (2 in codes and "error:" not in told):
                wrong = f"ended with {codes}: {told.strip()[-600:]}"
            wrong = wrong or wrong_words(told) or scene.completed()
            table.add("lost rank", f"{scene.name}: {phase.name}", wrong)


def absent_host(scene: Scene, table: Table) -> None:
    """Start one of two ranks alone."""
    for rank in range(scene.ranks):
        scene.reset()
        environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29987", "WORLD_SIZE": str(scene.ranks)}
        out = scene.place.parent / "alone.out"
        began = time.monotonic()
        started = rank_processes(scene.words, out, [rank], environment, functools.partial(_hurry, scene))
        codes, told = started.wait(), started.told()
        right = codes == [2] and "do not meet" in told and time.monotonic() - began < 120
        wrong = wrong_words(told) or ("" if right else f"ended with {codes}: {told.strip()[-600:]}")
        table.add("absent host", f"rank {rank} alone", wrong or scene.completed())


def _hurry(scene: Scene) -> None:
    from lbkd.distributed import hosts

    scene.before()
    hosts._JOIN_TIMEOUT = _WAIT
