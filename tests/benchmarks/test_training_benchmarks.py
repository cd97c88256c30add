"""The benchmarks of training run from end to end; how fast anything is, is not asked."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "peers", "differences", "rows"),
    [
        ("training", ["accelerate"], {"first step, loss apart by": 1e-4}, 4),
        ("distillation", ["textbrewer"], {"losses apart by": 1e-2}, 3),
        ("peak", [], {}, 7),
    ],
)
def test_a_benchmark_of_training_runs(
    name: str,
    peers: list[str],
    differences: dict[str, float],
    rows: int,
    tiny_model_folder: Path,
    tmp_path: Path,
) -> None:
    for peer in peers:
        pytest.importorskip(peer, reason=f"needs {peer}, which is in the extra lbkd[bench]")
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--out", tmp_path]
    command += ["--model", tiny_model_folder]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / f"{name}.json").read_text())
    assert len(found["rows"]) == rows
    assert all(row["ours"] > 0 and math.isfinite(row["figure"]) for row in found["rows"])
    for key, most in differences.items():
        assert 0 <= found["details"][key] <= most
