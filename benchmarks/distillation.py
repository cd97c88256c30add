"""A distillation epoch with three teachers beside TextBrewer: real tokens per second over the same windows.

Ours reads the teachers' logits from the store, as from the second epoch on; TextBrewer's
MultiTeacherDistiller lets the teachers compute them at every step. Its loss is the cross-entropy of the
softened mean of the teachers' logits, without the square of the temperature, plus the gold answers'; the
square goes into its weight, and padding is masked by its adaptor, so that both losses are Eq. 6.
"""

import statistics
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks.common import Row, options, report
from benchmarks.loops import Ground, adamw, clock, must_agree, rate
from lbkd.config import EvaluationSettings, Settings
from lbkd.criterions.combined import Combined
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.engine.optimizer import learning_rate_factor
from lbkd.features.batches import Batch, collate
from lbkd.features.tokens import Ints
from lbkd.models.load import load_span_model
from lbkd.models.span import SpanLogits, span_logits
from lbkd.teachers.compute import compute_logits
from lbkd.teachers.store import LogitsStore, StoredLogits
from lbkd.training.teacher_logits import TeacherLogits
from lbkd.weighting.fixed import Fixed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STEPS = 3
"""Timed steps, after one step that warms up."""
NLL, KD, TEMPERATURE = 0.5, 0.5, 2.0


def main() -> None:
    """Check that both sides agree, then time both in turns."""
    parser = options(__doc__, pairs=3)
    parser.add_argument("--languages", default="en,es,de", help="D of these (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="windows a step (%(default)s)")
    arguments = parser.parse_args()
    ground = Ground.of(arguments, arguments.languages.split(","))
    steps, size, rounds = (2, 2, 1) if arguments.quick else (1 + STEPS, arguments.batch_size, arguments.pairs)
    with tempfile.TemporaryDirectory() as scratch:
        side = Sides(ground, Path(scratch))
        settings = ground.rounds(rounds, steps, size)
        difference = side.check(ground.batches(settings[0])[0])
        found = [side.measure(each) for each in settings]
    ours = [rates[0] for rates in found]
    rows = []
    peers = (("shuffled, padded by batch", 2.0), ("our batches", 2.0), ("our batches, logits cached", None))
    for n, (what, goal) in enumerate(peers, start=1):
        theirs = [rates[n] for rates in found]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        medians = statistics.median(ours), statistics.median(theirs)
        rows.append(Row(f"distillation beside TextBrewer, {what}", *medians, "tokens/s", ratios, goal))
    details = {"losses apart by": difference, "languages": arguments.languages}
    report("distillation", rows, details, keep=arguments.out or not arguments.quick)


def combined_logits(teachers: TeacherLogits, batch: Batch) -> SpanLogits:
    """Read the teachers' logits for a batch and combine them by the weighting."""
    return teachers.logits(batch, teachers.read(batch))


class Sides:
    """Student, teachers and stores, for our side and for TextBrewer."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        self.ground = ground
        self.folder = folder
        self.criterion = Combined(NLL, KD, TEMPERATURE)

    @cached_property
    def teachers(self) -> list["PreTrainedModel"]:
        """Three copies of the encoder, each with a random head of its own and confident logits."""
        models = [self._model(seed) for seed in (101, 102, 103)]
        for model in models:
            encoder = {id(p) for p in model.base_model.parameters()}
            for p in model.parameters():
                p.data.mul_(
                    1.0 if id(p) in encoder else 10.0
                )  # confident logits: the check would not notice a wrong teacher otherwise
        return models

    def stored(self, ids: Ints) -> TeacherLogits:
        """Logits of all teachers for the windows, written to stores and opened."""
        windows = np.unique(ids)
        budget = EvaluationSettings().batch_tokens
        stores: dict[str, StoredLogits] = {}
        for n, teacher in enumerate(self.teachers):
            place = Path(tempfile.mkdtemp(dir=self.folder)) / str(n)
            store = LogitsStore(place, windows, self.ground.features.lengths(windows))
            store.prepare({})
            compute_logits(teacher, self.ground.features, store, budget)
            stores[str(n)] = store.open({})
        return TeacherLogits(stores, Fixed())

    def check(self, ids: Ints) -> float:
        """Difference of the losses of one batch, rounding to 12 bits a logit included."""
        batch, teachers = collate(self.ground.features, ids).to(current_device()), self.stored(ids)
        student = self._model(1)
        with torch.no_grad():
            ours = self.criterion(span_logits(student, batch), batch, combined_logits(teachers, batch)).total
            distiller = self._distiller(student, cached=False)
            with distiller:
                theirs, _ = distiller.train_on_batch(self._inputs([ids])[0], {})
        return must_agree("the loss of a batch", [float(ours)], [float(theirs)], 1e-2)

    def measure(self, settings: Settings) -> list[float]:
        """Tokens per second: ours; TextBrewer with shuffled batches, with our batches, with cached logits."""
        ours, shuffled = self.ground.batches(settings), self.ground.shuffled(settings)
        teachers = self.stored(np.concatenate(ours))
        with clock() as moments:
            self.ground.train(settings, self.folder / f"run-{settings.seed}", self.criterion, teachers)
        return [
            rate(moments, self.ground.tokens(ours)),
            self._textbrewer(settings, shuffled, cached=False),
            self._textbrewer(settings, ours, cached=False),
            self._textbrewer(settings, ours, cached=True),
        ]

    def _textbrewer(self, settings: Settings, batches: Sequence[Ints], cached: bool) -> float:
        """Real tokens per second of TextBrewer's training; with a cache, TextBrewer orders the batches."""
        how, student = settings.training, self._model(settings.seed)
        seen: list[int] = []
        distiller = self._distiller(student, cached, seen)
        dtype = compute_dtype("auto")
        half = torch.autocast(current_device().type, dtype, enabled=dtype is not torch.float32)
        with distiller, half, clock() as moments:
            distiller.train(
                adamw(student, how),
                self._inputs(batches),
                num_epochs=1,
                scheduler_class=torch.optim.lr_scheduler.LambdaLR,
                scheduler_args={"lr_lambda": learning_rate_factor(how, len(batches))},
                max_grad_norm=how.max_grad_norm,
            )
        return rate(moments, seen)

    def _distiller(self, student: "PreTrainedModel", cached: bool, seen: list[int] | None = None) -> Any:
        """TextBrewer's distiller for our loss; `seen` gets the number of real tokens of each batch."""
        from textbrewer import DistillationConfig, MultiTeacherDistiller, TrainingConfig

        def logits(batch: dict[str, torch.Tensor], out: Any) -> tuple[torch.Tensor, torch.Tensor]:
            padding = (1 - batch["attention_mask"]) * -1e4
            return out.start_logits.float() + padding, out.end_logits.float() + padding

        def teacher(batch: dict[str, torch.Tensor], out: Any) -> dict[str, Any]:
            return {"logits": logits(batch, out)}

        def learner(batch: dict[str, torch.Tensor], out: Any) -> dict[str, Any]:
            if seen is not None:
                seen.append(int(batch["attention_mask"].sum()))
            start, end = logits(batch, out)
            gold = batch["start_positions"], batch["end_positions"]
            return {
                "logits": (start, end),
                "losses": cross_entropy(start, gold[0]) + cross_entropy(end, gold[1]),
            }

        training = TrainingConfig(device=current_device(), output_dir=str(self.folder / "textbrewer"))
        distillation = DistillationConfig(
            temperature=TEMPERATURE,
            kd_loss_weight=KD * TEMPERATURE**2,
            hard_label_weight=NLL,
            is_caching_logits=cached,
        )
        return MultiTeacherDistiller(training, distillation, self.teachers, student, teacher, learner)

    def _inputs(self, batches: Sequence[Ints]) -> list[dict[str, torch.Tensor]]:
        """Batches in TextBrewer's form, made beforehand."""
        made = [collate(self.ground.features, ids) for ids in batches]
        golds = [{"start_positions": b.starts, "end_positions": b.ends} for b in made]
        # TextBrewer always needs a mask; our own inputs have one only if there is padding.
        masks = [{"attention_mask": b.mask.long()} for b in made]
        return [{**b.inputs(), **mask, **gold} for b, mask, gold in zip(made, masks, golds, strict=True)]

    def _model(self, seed: int) -> "PreTrainedModel":
        torch.manual_seed(seed)
        return load_span_model(self.ground.model, dropout=0.0, device=current_device())


if __name__ == "__main__":
    main()
