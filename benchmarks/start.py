"""Start of the command line: wall time of `lbkd --help` and `lbkd list`, whole processes.

Modules are read from Python's bytecode cache; the first round fills the cache and is not counted.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.common import Row, options, report, seconds

COMMANDS = (["--help"], ["list"])
GOAL = 0.4


def main() -> None:
    """Measure each command in turn."""
    arguments = options(__doc__, pairs=10).parse_args()
    program = Path(sys.executable).with_name("lbkd")
    rounds = 1 if arguments.quick else arguments.pairs

    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}

    def run(command: list[str]) -> float:
        whole = [str(program), *command]
        return seconds(lambda: subprocess.run(whole, check=True, stdout=subprocess.DEVNULL, env=environment))

    times = [[run(command) for command in COMMANDS] for _ in range(rounds + 1)][1:]
    rows = []
    for command, found in zip(COMMANDS, zip(*times, strict=True), strict=True):
        what = f"lbkd {' '.join(command)}"
        rows.append(Row(what, statistics.median(found), None, "s", found, GOAL, True, "{:.2f} s"))
    report("start", rows, keep=arguments.out or not arguments.quick)


if __name__ == "__main__":
    main()
