import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import numpy as np
from lbkd.distributed.process import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(size * 2**18, dtype=np.float32) for size in (30, 10, 30, 20)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
print(min(faults() for _ in range(4)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_a_step_gets_the_memory_that_the_last_one_freed() -> None:
    """90 MB a step are 23,040 pages of 4 KB, or fewer where they are larger."""
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, check=True).stdout)
        for how in ("kept", "given back")
    )
    assert kept < 50 <= given_back / 2
