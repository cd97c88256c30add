"""`make install`, with a stand-in for pip: what is said first, what pip says, and how it ends."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && exit; fi
echo "WARNING: Location 'file:///mirror/simple/tqdm/' is ignored: it is neither a file nor a directory." >&2
echo "WARNING: Url '/wheels' is ignored. It is either a non-existing path or lacks a specific scheme." >&2
echo "WARNING: torch 2.13 does not provide the extra 'gpu'" >&2
[ -z "$FAILS" ] || { echo "ERROR: No matching distribution found for torch" >&2; exit 3; }
"""


@pytest.mark.parametrize("fails", ["", "yes"])
def test_install(fails: str, tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("needs make")
    python = tmp_path / "python"
    python.write_text(PIP)
    python.chmod(0o755)
    place = tmp_path / "env"
    done = subprocess.run(
        ["make", "--no-print-directory", "install", f"PYTHON={python}", f"VENV={place}"],
        cwd=ROOT,
        env=os.environ | {"FAILS": fails},
        capture_output=True,
        text=True,
    )
    [first] = done.stdout.splitlines()
    assert first.startswith("Installing lbkd with PyTorch, transformers, DeepSpeed")
    assert str(place) in first
    warning, *error = done.stderr.splitlines()
    assert warning == "WARNING: torch 2.13 does not provide the extra 'gpu'"
    assert bool(fails) == bool(done.returncode) == bool(error) != (place / "installed").exists()
    assert not fails or error[0] == "ERROR: No matching distribution found for torch"
