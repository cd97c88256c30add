import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ranks import furthest, settings, trained
from torch import Tensor

from lbkd.config import Settings
from lbkd.errors import LbkdError
from lbkd.features.batches import Epoch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.models.flops import matrix_weights, training_flops
from lbkd.models.load import load_span_model
from lbkd.progress import Silent
from lbkd.project import Project
from lbkd.registry.errors import PluginError
from lbkd.teachers.packing import pack
from lbkd.teachers.store import StoredLogits
from lbkd.tracking.metrics_log import MetricsLog
from lbkd.training import teacher_logits
from lbkd.training.loop import Report, TrainingLoop
from lbkd.training.micro_batches import Material
from lbkd.training.teacher_logits import TeacherLogits
from lbkd.weighting import TeacherContext, Weighting


@pytest.fixture(scope="module")
def features(tiny_model_folder: Path, workspace: Path) -> FeatureSet:
    return Project(settings(tiny_model_folder, workspace)).train_features


@pytest.fixture
def how(tiny_model_folder: Path, workspace: Path) -> Settings:
    return settings(tiny_model_folder, workspace, **{"training.max_steps": 3})


def changed(how: Settings, **training: Any) -> Settings:
    return how.model_copy(update={"training": how.training.model_copy(update=training)})


def all_pairs(features: FeatureSet) -> list[tuple[str, str]]:
    return [(k, j) for k in features.languages for j in features.languages]


def test_ten_steps_are_those_of_plain_torch(
    features: FeatureSet, how: Settings, tiny_model_folder: Path, tmp_path: Path
) -> None:
    """AdamW with decay on matrices alone, clipping, warm-up and decay, written out."""
    how = changed(how, max_steps=10, warmup_ratio=0.3, weight_decay=0.1, max_grad_norm=4.0, adam_eps=1e-5)
    ours = trained(how, tmp_path)

    model = load_span_model(str(tiny_model_folder), dropout=0.0)
    decayed = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others}], eps=1e-5)
    optimizer.param_groups[1]["weight_decay"] = 0.0
    ids = features.features(all_pairs(features))
    losses, norms = [], []
    for step, rate in enumerate([1 / 4, 2 / 4, 3 / 4, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]):
        epoch, n = divmod(step, 5)  # 36 windows, 8 at a time
        batch = collate(features, Epoch.of(ids, features.lengths(ids), 8, how.seed, epoch)[n])
        out = model(batch.input_ids, batch.mask.long(), batch.token_types)
        loss = torch.zeros(())
        for logits, gold in ((out.start_logits, batch.starts), (out.end_logits, batch.ends)):
            log_p = logits.masked_fill(~batch.mask, -torch.inf).log_softmax(-1)
            loss = loss - log_p[torch.arange(len(gold)), gold].mean()
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 4.0)))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * rate
        optimizer.step()
        losses.append(loss.item())
    assert min(norms) < 4 < max(norms)
    assert ours.losses == pytest.approx(losses, abs=1e-5)
    assert furthest(ours.weights, model.state_dict()) < 2e-5


def test_what_is_logged(how: Settings, tmp_path: Path) -> None:
    run = trained(how, tmp_path, "impurity")
    assert [line["step"] for line in run.lines] == [1, 2, 3]
    for line in run.lines:
        assert line["loss"] == pytest.approx(0.5 * line["nll"] + 0.5 * line["kd"])
        assert line["kd_to_nll"] == pytest.approx(line["kd"] / line["nll"])
        assert line["tokens_per_second"] > 0
        assert 0 < line["peak_share"] <= 1
        assert line["skipped_steps"] == 0
    # of the next step: the peak after one step of warm-up, then down to zero in two
    assert [line["learning_rate"] for line in run.lines] == pytest.approx([1e-3, 5e-4, 0])
    assert [line["epoch"] for line in run.lines] == pytest.approx([0.2, 0.4, 0.6])  # five batches an epoch


def test_a_line_is_the_mean_since_the_last(how: Settings, tmp_path: Path) -> None:
    every = trained(changed(how, max_steps=5), tmp_path / "1").losses
    run = trained(changed(how, max_steps=5, log_every=2), tmp_path / "2")
    assert [line["step"] for line in run.lines] == [2, 4, 5]
    assert run.losses == pytest.approx([(every[0] + every[1]) / 2, (every[2] + every[3]) / 2, every[4]])


def test_the_log_is_closed_after_a_failure(
    how: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[MetricsLog] = []
    close = MetricsLog.close

    def spy(log: MetricsLog) -> None:
        close(log)
        closed.append(log)

    def spoilt(student: Any, batch: Any, teachers: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(MetricsLog, "close", spy)
    with pytest.raises(PluginError, match=r"its loss raised OSError: no space left on device\n.*in spoilt"):
        trained(how, tmp_path, criterion=spoilt)  # type: ignore[arg-type]
    assert len(closed) == 1


def test_the_seed_decides(how: Settings, tmp_path: Path) -> None:
    how = how.model_copy(update={"model": how.model.model_copy(update={"dropout": 0.1})})
    one, again = (trained(how, tmp_path / name) for name in ("one", "again"))
    other = trained(how.model_copy(update={"seed": 2}), tmp_path / "other")
    assert furthest(one.weights, again.weights) == 0
    assert one.batches == again.batches != other.batches
    assert furthest(one.weights, other.weights) > 1e-3


def test_frozen_word_vectors_stay(how: Settings, tiny_model_folder: Path, tmp_path: Path) -> None:
    name = "bert.embeddings.word_embeddings.weight"
    before = load_span_model(str(tiny_model_folder)).state_dict()
    for stage in (0, 2):
        frozen = changed(how, freeze_embeddings=True)
        frozen = frozen.model_copy(
            update={"runtime": frozen.runtime.model_copy(update={"zero_stage": stage})}
        )
        after = trained(frozen, tmp_path / str(stage)).weights
        assert torch.equal(after[name], before[name])
        assert {key for key in before if torch.equal(after[key], before[key])} == {name}
    assert not torch.equal(trained(how, tmp_path / "free").weights[name], before[name])


@pytest.mark.parametrize(("epochs", "most", "steps"), [(2, None, 10), (1, 3, 3), (1, 7, 7)])
def test_epochs_and_steps(epochs: int, most: int | None, steps: int, how: Settings, tmp_path: Path) -> None:
    run = trained(changed(how, epochs=epochs, max_steps=most), tmp_path)
    assert len(run.batches) == len(run.lines) == steps
    whole = [sorted(sum(run.batches[at : at + 5], [])) for at in range(0, steps - steps % 5, 5)]
    assert all(len(set(epoch)) == 36 and epoch == whole[0] for epoch in whole)
    assert run.batches[5:] != run.batches[: max(0, steps - 5)] or steps <= 5


def test_pairs_per_passage_draws_question_languages_anew(
    features: FeatureSet, how: Settings, tmp_path: Path
) -> None:
    run = trained(changed(how, epochs=2, max_steps=None, question_languages_per_example=1), tmp_path)
    assert len(run.batches) == 6  # 9 questions in 2 passage languages, 8 at a time, twice
    epochs = [np.sort(sum(run.batches[at : at + 3], [])) for at in (0, 3)]
    for ids in epochs:
        windows = features.windows(ids)
        assert len({*zip(windows.question, windows.passage_language, strict=True)}) == len(ids) == 18
    assert not np.array_equal(*epochs)


def test_nothing_to_learn_from(features: FeatureSet, how: Settings, tmp_path: Path) -> None:
    model = load_span_model(how.model.name)
    with pytest.raises(LbkdError, match="branch: the corpus has no question for the language pairs"):
        material = Material(features, [], None)  # type: ignore[arg-type]
        TrainingLoop(model, material, how, Report("branch", tmp_path, Silent())).train()


class Given(Weighting):
    """Weights 3/4 and 1/4 for starts, other ones for ends."""

    def __init__(self) -> None:
        self.contexts: list[TeacherContext] = []

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        assert logits.dtype == torch.float32
        self.contexts.append(context)
        first = [0.75, 1.0] if len(self.contexts) == 1 else [0.5, 0.0]
        return torch.tensor([first, [1 - weight for weight in first]])


def test_teachers_logits_are_summed_with_their_weights(features: FeatureSet) -> None:
    ids = features.features([("es", "en")])
    lengths = features.lengths(ids)
    at = next(n for n in range(1, len(ids)) if lengths[n - 1] < lengths[n])
    ids = ids[at - 1 : at + 1]
    short, long = map(int, lengths[at - 1 : at + 1])
    lengths = np.array([short, long])
    places = np.concatenate([np.arange(short), np.arange(long)]).astype(np.float32)
    stores = {
        language: StoredLogits(ids, lengths, pack(scale * places, lengths), pack(scale * places + 1, lengths))
        for language, scale in (("en", 1), ("es", -2))
    }
    weighting = Given()
    batch = collate(features, ids)
    teachers = TeacherLogits(stores, weighting)
    logits = teachers.logits(batch, teachers.read(batch))
    t = torch.arange(float(long))
    # starts of en: t, of es: -2t; ends: t + 1 and -2t + 1
    expected = torch.stack([0.75 * t - 0.25 * 2 * t, t]), torch.stack([0.5 * t - t + 1, -2 * t + 1])
    for found, wanted in zip(logits, expected, strict=True):
        wanted[0, short:] = -torch.inf
        assert torch.allclose(found, wanted, atol=2 * int(long) / 8190)  # what is lost in 12 bits
    starts, ends = weighting.contexts
    assert starts.teachers == ends.teachers == ("en", "es")
    assert (starts.passage_languages, starts.question_languages) == (("es", "es"), ("en", "en"))
    assert torch.equal(starts.gold, batch.starts)
    assert torch.equal(ends.gold, batch.ends)
    assert torch.equal(starts.mask, batch.mask)


class Collector(Weighting):
    """Keeps what it may learn from."""

    seen: ClassVar[list[tuple[Tensor, TeacherContext]]] = []

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        raise AssertionError("not to be asked yet")

    def fit(self, examples: Iterable[tuple[Tensor, TeacherContext]]) -> dict[str, float]:
        self.seen[:] = list(examples)
        return {"batches": len(self.seen) / 2}


def test_a_weighting_learns_from_every_window_in_an_order_of_chance(
    features: FeatureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All logits of the n-th stored window are n for the one teacher, and -n for the other."""
    monkeypatch.setattr(teacher_logits, "_EXAMPLES", 10)
    ids = features.features(all_pairs(features))
    lengths = features.lengths(ids)
    rows = np.repeat(np.arange(len(ids)), lengths).astype(np.float32)
    stores = {
        language: StoredLogits(ids, lengths, pack(sign * rows, lengths), pack(sign * rows, lengths))
        for language, sign in (("en", 1), ("es", -1))
    }
    fitted = TeacherLogits(stores, Collector()).fit(features)
    assert fitted == ({}, {"batches": 4})  # 36 windows, 10 at a time
    seen = []
    for half, (logits, known) in enumerate(Collector.seen):
        n = logits[0, :, 0].long()
        assert torch.equal(logits[0], n[:, None].expand_as(known.mask).where(known.mask, -torch.inf))
        assert torch.equal(logits[1, :, 0], -logits[0, :, 0])
        batch = collate(features, ids[n.numpy()])
        assert torch.equal(known.gold, batch.ends if half % 2 else batch.starts)
        assert torch.equal(known.mask, batch.mask)
        assert known.teachers == ("en", "es")
        pairs = known.passage_languages, known.question_languages
        assert pairs == (batch.passage_languages, batch.question_languages)
        seen.append(n.tolist())
    assert seen[::2] == seen[1::2]
    assert sorted(sum(seen[::2], [])) == list(range(36))
    assert max(seen[0]) - min(seen[0]) > 18  # ten in a row would span 9


def test_a_weighting_that_learns_nothing_reads_nothing(features: FeatureSet) -> None:
    assert TeacherLogits({}, Given()).fit(features) is None  # the first look at a store would fail


def test_flops_are_those_that_torch_counts(features: FeatureSet, tiny_model_folder: Path) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = load_span_model(str(tiny_model_folder))
    model.set_attn_implementation("eager")
    ids = features.features([("en", "en")])[:1]
    length = int(features.lengths(ids)[0])
    counter = FlopCounterMode(display=False)
    with counter:
        model(**collate(features, ids).inputs())
    estimate = training_flops(matrix_weights(model), length, length**2, 2, 32)
    assert estimate == pytest.approx(3 * counter.get_total_flops(), rel=1e-6)


def test_a_metrics_file_holds_what_is_no_number_too(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.write(1, {"loss": 0.5, "note": "text"})
    log.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": 0.5, "note": "text"}
