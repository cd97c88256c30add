"""Training throughput beside Hugging Face's Trainer: real tokens per second over the same windows.

Trainer runs as run_qa sets it up (every window padded to 384 tokens), with dynamic padding, and with dynamic
padding of our own batches, which is the best that grouping by length could give it; beside them a plain loop
of torch over our batches, made in the same thread. All sides take the same model, batch size, AdamW, schedule
and clipping, without dropout, so that their losses can be compared.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Row, options, report
from benchmarks.loops import Ground, clock, must_agree, rate
from lbkd.config import RuntimeSettings, Settings
from lbkd.criterions.nll import Nll
from lbkd.distributed.device import compute_dtype
from lbkd.features.batches import collate
from lbkd.features.tokens import Ints
from lbkd.models.load import load_span_model, load_tokenizer
from lbkd.models.span import span_logits


def main() -> None:
    """Check that all sides agree, then time the four loops in turns."""
    parser = options(__doc__, pairs=3)
    parser.add_argument("--languages", default="en", help="learn from all pairs of these (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="windows a step (%(default)s)")
    parser.add_argument("--steps", type=int, default=6, help="timed steps, after one (%(default)s)")
    arguments = parser.parse_args()
    ground = Ground.of(arguments, arguments.languages.split(","))
    steps, size, rounds = 1 + arguments.steps, arguments.batch_size, arguments.pairs
    if arguments.quick:
        steps, size, rounds = 2, 2, 1
    with tempfile.TemporaryDirectory() as scratch:
        peer = HuggingFace(ground, Path(scratch))
        checked = check(ground, peer, Path(scratch))
        found = [measure(ground, peer, how, Path(scratch)) for how in ground.rounds(rounds, steps, size)]
    ours = [rates[0] for rates in found]
    rows = []
    for n, (what, goal) in enumerate(
        (
            ("Trainer, padded to 384", 1.8),
            ("Trainer, dynamic padding", 1.1),
            ("Trainer, our batches (grouped by length)", None),
            ("a plain loop of torch, our batches", None),
        )
    ):
        theirs = [rates[n + 1] for rates in found]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        medians = statistics.median(ours), statistics.median(theirs)
        rows.append(Row(f"training beside {what}", *medians, "tokens/s", ratios, goal))
    epoch = shares(ground, ground.settings(1, None, size))
    details = {**checked, **epoch, "languages": arguments.languages}
    report("training", rows, details, keep=arguments.out or not arguments.quick)


class HuggingFace:
    """Hugging Face's Trainer on given windows, which transformers tokenizes."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        self.ground = ground
        self.folder = folder
        self.tokenizer = load_tokenizer(ground.model)

    def rows(self, ids: Ints) -> Iterator[dict[str, Any]]:
        """Yield the windows as run_qa's `prepare_train_features` makes them; SystemExit if ours differ."""
        features = self.ground.features
        batch = collate(features, ids)
        windows = batch.windows
        for n in range(len(ids)):
            asked = batch.question_languages[n]
            data = features.corpus.datasets[asked]
            question = data.questions[features.corpus.rows[asked][windows.question[n]]].text
            made = self.tokenizer(
                question,
                features.passage_text(windows, n),
                truncation="only_second",
                max_length=features.rule.max_length,
                stride=int(windows.room[n] - windows.stride[n]),
                return_overflowing_tokens=True,
            )
            row = {name: made[name][windows.number[n]] for name in self.tokenizer.model_input_names}
            if row["input_ids"] != batch.input_ids[n][batch.mask[n]].tolist():
                raise SystemExit(f"window {ids[n]} differs from the tokenizer's own.")
            yield {**row, "start_positions": int(batch.starts[n]), "end_positions": int(batch.ends[n])}

    def train(self, settings: Settings, batches: Sequence[Ints], padded: bool) -> list[float]:
        """Train on the batches in their order; losses by our definition: start plus end."""
        from transformers import (
            DataCollatorWithPadding,
            PrinterCallback,
            Trainer,
            TrainingArguments,
            default_data_collator,
        )
        from transformers.utils import logging

        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        losses: list[torch.Tensor] = []

        class Recording(Trainer):
            def compute_loss(self, *given: Any, **named: Any) -> Any:
                loss: Any = super().compute_loss(*given, **named)
                losses.append(2 * loss.detach())
                return loss

        rows = [row for ids in batches for row in self.rows(ids)]
        if padded:
            most = self.ground.features.rule.max_length
            rows = [dict(self.tokenizer.pad(row, padding="max_length", max_length=most)) for row in rows]
        how = settings.training
        arguments = TrainingArguments(
            output_dir=str(self.folder / "trainer"),
            per_device_train_batch_size=len(batches[0]),
            num_train_epochs=1,
            learning_rate=how.learning_rate,
            weight_decay=how.weight_decay,
            adam_epsilon=how.adam_eps,
            max_grad_norm=how.max_grad_norm / 2,  # Trainer's loss is the mean of start and end, ours the sum
            train_sampling_strategy="sequential",
            dataloader_pin_memory=torch.cuda.is_available(),
            bf16=compute_dtype(settings.runtime.precision) is torch.bfloat16,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=settings.seed,
        )
        torch.manual_seed(settings.seed)
        model = load_span_model(self.ground.model, dropout=settings.model.dropout)
        collator: Any = default_data_collator if padded else DataCollatorWithPadding(self.tokenizer)
        data: Any = rows
        trainer = Recording(model, arguments, collator, train_dataset=data)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return [float(loss) for loss in losses]


def check(ground: Ground, peer: HuggingFace, folder: Path) -> dict[str, Any]:
    """Check windows, first loss and losses of three steps.

    A padded batch of ours is compared with its windows one by one, and the loops run with batches of one
    window: run_qa's softmax includes padding, ours does not. They compute in fp32, on a GPU too, where
    Trainer's head would round its logits to bf16.
    """
    settings = ground.settings(1, 3, 1)
    settings = settings.model_copy(update={"runtime": RuntimeSettings(precision="fp32")})
    batches = ground.batches(settings)
    ours = [row["loss"] for row in ground.train(settings, folder / "check")]
    theirs = peer.train(settings, batches, padded=False)
    together = collate(ground.features, ids := ground.shuffled(ground.settings(1, 2, 4))[-1])
    seeded = load_span_model(ground.model, dropout=0.0)
    with torch.no_grad():
        loss = float(Nll()(span_logits(seeded, together), together, None).total)
        alone = [
            2 * float(seeded(**{key: torch.tensor([value]) for key, value in row.items()}).loss)
            for row in peer.rows(ids)
        ]
    return {
        "padded batch, loss apart by": must_agree("a batch", [loss], [statistics.fmean(alone)], 1e-4),
        "first step, loss apart by": must_agree("the first step", ours[:1], theirs[:1], 1e-4),
        "three steps, losses apart by": must_agree("three steps", ours, theirs, 1e-3),
    }


def measure(ground: Ground, peer: HuggingFace, settings: Settings, folder: Path) -> list[float]:
    """Tokens per second of our loop; Trainer padded to 384, by batch, and with our batches; a plain loop."""
    ours, shuffled = ground.batches(settings), ground.shuffled(settings)
    with clock() as moments:
        ground.train(settings, folder / f"run-{settings.seed}")
    rates = [rate(moments, ground.tokens(ours))]
    for batches, padded in ((shuffled, True), (shuffled, False), (ours, False)):
        with clock() as moments:
            peer.train(settings, batches, padded)
        rates.append(rate(moments, ground.tokens(batches)))
    with clock() as moments:
        ground.train_plainly(settings)
    return [*rates, rate(moments, ground.tokens(ours))]


def shares(ground: Ground, settings: Settings) -> dict[str, float]:
    """Share of real tokens of each side, over a whole epoch."""
    width = ground.features.rule.max_length
    shuffled = ground.shuffled(settings)
    found = {
        "ours": ground.real_share(ground.batches(settings)),
        "dynamic padding": ground.real_share(shuffled),
        "padded to 384": ground.real_share(shuffled, width),
    }
    return {f"real tokens, {name}": round(share, 3) for name, share in found.items()}


if __name__ == "__main__":
    main()
