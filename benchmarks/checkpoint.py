"""What a checkpoint of an encoder of XLM-R base's size costs, part by part, beside the minutes between two.

The checkpoint is that of ZeRO stage 0 on one rank. Seconds by the clock count the disk and other work of the
machine; the processor's seconds do not.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import XLMRobertaConfig, XLMRobertaForQuestionAnswering

from benchmarks.common import Row, report
from lbkd.config import RuntimeSettings, Settings, TrainingSettings
from lbkd.distributed import group
from lbkd.engine.deepspeed_config import deepspeed_config
from lbkd.engine.division import Division
from lbkd.engine.engine import Engine
from lbkd.workspace import sync_tree, write_manifest

BASE: dict[str, Any] = {"vocab_size": 250_002, "max_position_embeddings": 514, "type_vocab_size": 1}
TINY: dict[str, Any] = {
    "vocab_size": 1_000,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def main() -> None:
    """Train one step, and write checkpoints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a test run: a tiny encoder")
    parser.add_argument("--times", type=int, default=3, help="checkpoints (%(default)s)")
    given = parser.parse_args()
    training = TrainingSettings(batch_size=1)
    group.start()
    model = XLMRobertaForQuestionAnswering(XLMRobertaConfig(**(TINY if given.quick else BASE)))
    config = deepspeed_config(training, RuntimeSettings(zero_stage=0), Division(0, 1, 1))
    engine = Engine(model, training, config, lambda step: 1.0)
    out = engine.model(torch.arange(5, 13)[None])
    engine.backward(out.start_logits.sum() + out.end_logits.square().sum())
    engine.step()
    interval = 60 * Settings().training.checkpoint_minutes
    folder, found = Path(tempfile.mkdtemp(prefix="checkpoint.")), list[dict[str, tuple[float, float]]]()
    try:
        for _ in range(given.times):
            place = folder / "new"
            place.mkdir()
            parts: dict[str, Callable[[], object]] = {
                "written": partial(engine.save, place),
                "sha256": partial(write_manifest, place),
                "on the disk": partial(sync_tree, place),
            }
            found.append({name: _clocked(work) for name, work in parts.items()})
            size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
            print(json.dumps({"bytes": size, **found[-1]}), flush=True)
            shutil.rmtree(place)
    finally:
        shutil.rmtree(folder)
    rows = [Row("size", size / 1e9, None, "GB", [size / 1e9], form="{:.2f} GB")]
    for name in found[0]:
        for kind, which in (("by the clock", 0), ("of the processor", 1)):
            seconds = [each[name][which] for each in found]
            share = sorted(seconds)[len(seconds) // 2]
            rows.append(
                Row(
                    f"{name}, {kind}",
                    share,
                    None,
                    "s",
                    [s / interval * 100 for s in seconds],
                    form="{:.2f} %",
                )
            )
    report("checkpoint", rows, {"seconds between two": interval}, keep=not given.quick)
    engine.close()


def _clocked(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


if __name__ == "__main__":
    main()
