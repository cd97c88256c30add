"""Training's share of the machine's matrix-product speed, and the time of each part of a step.

A student's steps (three teachers' stored logits) under DeepSpeed, each beside the same step of a plain torch
loop, and beside the speed of `torch.mm` measured just before. Operations are counted by the formula of
`training_flops`: real tokens only, 6 per weight outside the embeddings, plus attention.
"""

import statistics
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import Row, options, report
from benchmarks.distillation import Sides, combined_logits
from benchmarks.loops import Ground, adamw, now, plain_step
from lbkd.config import RuntimeSettings, Settings
from lbkd.distributed import group
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.engine.deepspeed_config import deepspeed_config
from lbkd.engine.division import Division
from lbkd.engine.engine import Engine
from lbkd.engine.optimizer import LearningRateFactor
from lbkd.features.batches import collate
from lbkd.features.tokens import Ints
from lbkd.models.flops import encoder_shape, matmul_peak, matrix_weights, training_flops
from lbkd.models.load import load_span_model
from lbkd.models.span import span_logits

GOALS = {"cpu": 0.6, "cuda": 0.4}
PARTS = ("collating", "reading the store", "forward", "backward", "optimizer")
TOP = 12
"""Operations of the profile that are reported."""


def main() -> None:
    """Time steps of ours and of a plain loop in turns, then profile one step."""
    parser = options(__doc__)
    parser.add_argument("--languages", default="en,es,de", help="D of these (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="windows a step (%(default)s)")
    arguments = parser.parse_args()
    ground = Ground.of(arguments, arguments.languages.split(","))
    steps, size = (2, 2) if arguments.quick else (1 + arguments.pairs, arguments.batch_size)
    settings, *_ = ground.rounds(1, steps, size)
    batches = ground.batches(settings)
    with tempfile.TemporaryDirectory() as scratch:
        group.start()
        stepper = Steps(ground, settings, Sides(ground, Path(scratch)))
        found = [(stepper.peak(), stepper.ours(ids), stepper.plain(ids)) for ids in batches][1:]
        top = stepper.profile(batches[-1])
        group.stop()
    flops = [stepper.flops(ids) for ids in batches[1:]]
    peaks, parts, plain = zip(*found, strict=True)
    whole = [sum(step) for step in parts]
    speeds = [done / taken for done, taken in zip(flops, whole, strict=True)]
    shares = [speed / peak for speed, peak in zip(speeds, peaks, strict=True)]
    medians = statistics.median(speeds) / 1e9, statistics.median(peaks) / 1e9
    goal = GOALS[current_device().type]
    rows = [Row("training beside torch.mm", *medians, "GFLOP/s", shares, goal, form="{:.1%}")]
    ratios = [b / a for a, b in zip(whole, plain, strict=True)]
    medians = statistics.median(whole), statistics.median(plain)
    rows.append(Row("a step under DeepSpeed beside plain torch", *medians, "s", ratios))
    for n, part in enumerate(PARTS):
        times = [step[n] for step in parts]
        of_step = [step[n] / sum(step) for step in parts]
        limit = 0.01 if part == "reading the store" else None
        what = f"{part}, of a step"
        rows.append(Row(what, statistics.median(times), None, "s", of_step, limit, True, "{:.2%}"))
    tokens = sum(ground.tokens(batches[1:])) / sum(whole)
    details = {"tokens/s": round(tokens), "languages": arguments.languages, "top": top}
    report("peak", rows, details, keep=arguments.out or not arguments.quick)


class Steps:
    """Optimizer steps on given windows, timed part by part."""

    def __init__(self, ground: Ground, settings: Settings, sides: Sides) -> None:
        self.ground = ground
        self.criterion = sides.criterion
        self.teachers = sides.stored(np.concatenate(ground.batches(settings)))
        self.settings = settings
        training = settings.training
        model = load_span_model(ground.model, dropout=0.0, device=current_device())
        self.matrices, self.shape = matrix_weights(model), encoder_shape(model)
        config = deepspeed_config(training, RuntimeSettings(), Division(0, 1, 1))
        self.our_engine = Engine(model, training, config, LearningRateFactor(100, 0))
        self.our_engine.model.train()
        self.model = load_span_model(ground.model, dropout=0.0, device=current_device()).train()
        self.optimizer = adamw(self.model, training)
        self.dtype = compute_dtype("auto")

    def peak(self) -> float:
        """Measure the FLOP/s of `torch.mm`."""
        return matmul_peak(current_device(), self.dtype)

    def flops(self, ids: Ints) -> float:
        """Floating-point operations of a step on the windows."""
        lengths = self.ground.features.lengths(ids)
        return training_flops(self.matrices, int(lengths.sum()), int((lengths**2).sum()), *self.shape)

    def ours(self, ids: Ints) -> list[float]:
        """Take a step of ours; seconds of each of `PARTS`."""
        moments = [now()]
        batch = collate(self.ground.features, ids).to(current_device())
        moments.append(now())
        teacher_logits = combined_logits(self.teachers, batch)
        moments.append(now())
        loss = self.criterion(span_logits(self.our_engine.model, batch), batch, teacher_logits).total
        moments.append(now())
        self.our_engine.backward(loss)
        moments.append(now())
        self.our_engine.step()
        moments.append(now())
        return [end - begin for begin, end in zip(moments, moments[1:], strict=False)]

    def plain(self, ids: Ints) -> float:
        """Take the same step in plain torch; seconds of the whole step."""
        began = now()
        batch = collate(self.ground.features, ids).to(current_device())
        learnt = batch, combined_logits(self.teachers, batch)
        clip = self.settings.training.max_grad_norm
        plain_step(self.model, self.optimizer, learnt, self.criterion, clip)
        return now() - began

    def profile(self, ids: Ints) -> dict[str, str]:
        """Profile a step of ours: operation -> share of the step's time, the `TOP` largest ones."""
        from torch.profiler import ProfilerActivity, profile

        cuda = current_device().type == "cuda"
        with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as seen:
            self.ours(ids)
        name = "self_device_time_total" if cuda else "self_cpu_time_total"
        spent = sorted(((getattr(row, name), row.key) for row in seen.key_averages()), reverse=True)
        whole = sum(time for time, _ in spent) or 1.0  # where the profiler sees no kernel
        return {key: f"{time / whole:.1%}" for time, key in spent[:TOP]}


if __name__ == "__main__":
    main()
