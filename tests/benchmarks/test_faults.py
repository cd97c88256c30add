"""A short form of the campaign of faults: a translation that is killed, stopped, damaged and crowded."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_short_campaign() -> None:
    command = [sys.executable, "-m", "benchmarks.faults", "--quick", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    tried, good = re.findall(r"\d+", done.stdout[done.stdout.index("│ all") :])[:2]
    assert int(tried) == int(good) > 7
