"""The reader in examples/haystack-reader, tried with the real Haystack where that is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "haystack-reader"


@pytest.mark.slow
def test_the_readers_own_tests_pass() -> None:
    pytest.importorskip("haystack", reason="needs the package haystack-ai: see examples/haystack-reader")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--rootdir", ".", "tests"],
        cwd=EXAMPLE,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE), "HAYSTACK_TELEMETRY_ENABLED": "False"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
