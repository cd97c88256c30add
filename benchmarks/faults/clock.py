"""A clock that jumps: years ahead, back to 2001, and both while a command runs.

The clock is that of libfaketime (Debian's package `faketime`), so commands are started from nothing.
"""

import os
import random
import shutil
import time
from pathlib import Path

from benchmarks.faults.processes import real
from benchmarks.faults.report import Table
from benchmarks.faults.scenes import Scene

_PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
_JUMPS = ("+5y", "-24y", "+90d", "-1h", "+0")


def library() -> Path | None:
    """Where libfaketime is; None where it is not installed."""
    found = [path for place in _PLACES for path in Path("/").glob(place[1:])]
    return found[0] if shutil.which("faketime") and found else None


def jumps(scene: Scene, times: int, chance: random.Random, table: Table) -> None:
    """Run the command while its clock jumps every half second."""
    file = scene.place.parent / "clock"
    environment = {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",  # files keep their times when a clock jumps
        "OMP_NUM_THREADS": "1",
    }
    for _ in range(times):
        scene.reset()
        file.write_text("+0\n")
        started = real(scene.words, scene.place.parent / "real.out", environment)
        until = time.monotonic() + 300
        while not started.ended() and time.monotonic() < until:
            fresh = file.with_suffix(".new")
            fresh.write_text(f"{chance.choice(_JUMPS)}\n")
            os.replace(fresh, file)
            time.sleep(0.5)
        table.add("clock", scene.name, scene.wrong_end(started, started.wait()))
