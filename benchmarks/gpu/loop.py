"""Our training loop in bf16, fp16 and fp32, under every ZeRO stage, and with teachers: speed and losses.

Figures are the loop's own, as runs log them: nothing waits for the GPU between two lines of the log. The
first line, which warms up, is left out. Losses tell whether the settings learn alike.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import options
from benchmarks.distillation import Sides
from benchmarks.loops import Ground
from lbkd.config import RuntimeSettings

STEPS = 30
"""Optimizer steps of a line of the log."""
PEAK_GOAL = 0.4
"""Share of the bf16 peak."""
VARIANTS: dict[str, tuple[int, dict[str, Any]]] = {
    "bf16": (32, {}),
    "bf16, 128 windows": (128, {}),
    "bf16, three teachers": (32, {}),
    "fp16": (32, {"precision": "fp16"}),
    "ZeRO 1": (32, {"zero_stage": 1}),
    "ZeRO 2": (32, {"zero_stage": 2}),
    "ZeRO 3": (32, {"zero_stage": 3}),
    "fp32": (32, {"precision": "fp32"}),
}
"""Name -> windows a step, and settings of the section `runtime`; the default precision of a GPU is bf16."""
LINES = ("loss", "tokens_per_second", "peak_share", "gradient_norm", "skipped_steps")


def main() -> None:
    """Train by all variants in turns; a JSON value after each, the last one whole."""
    arguments = options(__doc__).parse_args()
    ground = Ground.of(arguments, ["en", "es", "de"])
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, (size, runtime) in VARIANTS.items():
            if arguments.quick and runtime.get("precision") == "fp16":
                continue  # which CPUs refuse
            try:
                found[name] = measured(ground, name, (2 if arguments.quick else size, runtime), Path(scratch))
            except Exception as error:
                found[name] = {"error": f"{type(error).__name__}: {error}"[:2000]}
            print(json.dumps({"variants": found, "goal": PEAK_GOAL}), flush=True)


def measured(
    ground: Ground, name: str, how: tuple[int, dict[str, Any]], scratch: Path
) -> dict[str, float | None]:
    """Train twice `STEPS` steps; what the last line of the log tells, and the most memory taken, in GB."""
    size, runtime = how
    steps = 2 if ground.quick else STEPS
    settings = ground.settings(1, 2 * steps, size, steps)
    settings = settings.model_copy(update={"runtime": RuntimeSettings(**runtime)})
    criterion = teachers = None
    if name.endswith("teachers"):
        sides = Sides(ground, scratch)
        criterion, teachers = sides.criterion, sides.stored(np.concatenate(ground.batches(settings)))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    *_, last = ground.train(settings, scratch / name.replace(" ", "-"), criterion, teachers)
    found = {key: last.get(key) for key in LINES}
    if torch.cuda.is_available():
        found["gigabytes"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return found


if __name__ == "__main__":
    main()
