"""SIGKILL in each phase; then the command to its end, which must leave what an undisturbed one leaves.

A chain kills the command in one phase after another, a random moment after the phase has begun. A kill counts
for a phase only if the phase was going on when the process was gone. All kills of a chain are good if its end
is, and if no run that was finished at a kill was trained anew.
"""

import random
import signal
import time
from collections import Counter
from pathlib import Path

from benchmarks.faults.processes import GLANCE, PATIENCE, Started, real
from benchmarks.faults.report import Table
from benchmarks.faults.scenes import Phase, Scene

_CHAINS = 5
"""At most so many chains for each hit that is wanted."""


def scene_kills(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Kill the command until each of its phases was hit so often."""
    hits: Counter[str] = Counter()
    for _ in range(_CHAINS * times):
        wanted = [phase for phase in scene.phases if hits[phase.name] < times]
        if not wanted:
            break
        struck, wrong = chain(scene, wanted, chance)
        hits.update(struck)
        for name in struck:
            table.add("kill", f"{scene.name}: {name}" if scene.name != name else name, wrong)
    for phase in scene.phases:
        if hits[phase.name] < times:
            lacking = f"hit {hits[phase.name]} times, not {times}"
            table.lacks("kill", f"{scene.name}: {phase.name}", lacking)


def chain(scene: Scene, phases: list[Phase], chance: random.Random) -> tuple[list[str], str]:
    """Names of the phases that were hit, and what was wrong in the end."""
    scene.reset()
    struck, finished = list[str](), dict[Path, bytes]()
    for phase in phases:
        started = scene.begin()
        reached = await_phase(scene, phase, started, chance)
        started.send(signal.SIGKILL)
        codes = started.wait()
        if any(code not in (0, 137) for code in codes):
            return [*struck, phase.name], f"ended with {codes} before the kill: {started.told()[-600:]}"
        if reached and 0 not in codes and phase.goes_on(started, scene.place):
            struck.append(phase.name)
        done = [*scene.place.glob("work/runs/[!.]*/run.json"), *scene.place.glob("runs/[!.]*/run.json")]
        finished |= {path: path.read_bytes() for path in done}
    wrong = scene.completed()
    lost = [path.parent.name for path, before in finished.items() if path.read_bytes() != before]
    return struck, wrong or (f"trained anew: {', '.join(lost)}" if lost else "")


def await_phase(scene: Scene, phase: Phase, started: Started, chance: random.Random) -> bool:
    """Wait for the phase, and in it for a random moment; False if the command ended before."""
    until = time.monotonic() + PATIENCE
    while not phase.goes_on(started, scene.place):
        if started.ended() or time.monotonic() > until:
            return False
        time.sleep(GLANCE)
    time.sleep(chance.random() ** 1.5 * scene.lengths[phase.name])
    return True


def first_seconds(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Kill commands that were started from nothing while they import their packages."""
    for _ in range(times):
        scene.reset()
        started = real(scene.words, scene.place.parent / "real.out")
        time.sleep(chance.uniform(0.0, 5.0))
        started.send(signal.SIGKILL)
        started.wait()
        table.add("kill", f"{scene.name}: importing", scene.completed())
