import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from ranks import Ranks, RanksFailed, Trained, furthest, made_up, settings, trained
from torch import Tensor

from lbkd.config import Settings
from lbkd.criterions import Criterion, Loss, registry
from lbkd.distributed import collectives, group
from lbkd.engine import meter
from lbkd.errors import DataError, LbkdError
from lbkd.features.batches import collate
from lbkd.training import loop
from lbkd.training.teacher_logits import TeacherLogits
from lbkd.weighting import TeacherContext, Weighting

STEPS = {"training.max_steps": 20, "training.adam_eps": 1e-5}
"""Gradients that are zero in truth come as roundings, which a small epsilon would blow up to whole steps."""
IN_PARTS = {
    **STEPS,
    "training.max_steps": 8,
    "training.batch_size": 6,
    "training.micro_batch_size": 2,
    "training.max_grad_norm": 3.0,
}


def fail_on_rank_one() -> None:
    if os.environ["RANK"] == "1":
        raise ValueError("odd")


def rank_and_world() -> tuple[int, int]:
    return group.start()


def gathered_and_agreed() -> tuple[Any, Any, str]:
    rank, _ = group.start()

    def work() -> None:
        if rank == 1:
            raise DataError("rank 1 only")

    try:
        collectives.raise_on_all_ranks(work)
    except DataError as error:
        return collectives.all_gather_objects(rank), collectives.broadcast_object(rank), str(error)
    return None, None, ""


class NotOnRankOne(Criterion):
    """NLL, but not a number for the third batch of rank 1."""

    def __init__(self) -> None:
        self.batches = 0
        self.nll = registry.create("nll")

    def __call__(self, student: Any, batch: Any, teachers: Any) -> Loss:
        self.batches += 1
        loss = self.nll(student, batch, None)
        spoilt = os.environ["RANK"] == "1" and self.batches == 3
        return Loss(loss.total * float("nan"), loss.parts) if spoilt else loss


def test_a_failing_rank_is_told_as_text() -> None:
    ranks = Ranks(2)
    with pytest.raises(RanksFailed, match=r"rank 1: (?s:.*)ValueError: odd"):
        ranks(fail_on_rank_one, deadline=30)
    ranks.stop()


def test_ranks_talk(two_ranks: Ranks) -> None:
    assert two_ranks(rank_and_world) == [(0, 2), (1, 2)]
    assert two_ranks(gathered_and_agreed) == [([0, 1], 0, "rank 1 only")] * 2


@pytest.mark.parametrize(
    ("weighting", "sizes"),
    [
        (None, {"training.batch_size": 8}),  # 36 windows: the last batch has 4
        (None, {"training.batch_size": 5}),  # the last has 1, and nothing for rank 1
        (None, {"training.batch_size": 7, "training.micro_batch_size": 2}),
        ("impurity", {"training.batch_size": 5, "training.micro_batch_size": 1}),
        ("impurity", {"training.batch_size": 8, "training.question_languages_per_example": 1}),
        ("learned", {"training.batch_size": 5}),
    ],
)
def test_two_ranks_do_what_one_does(
    two_ranks: Ranks,
    tiny_model_folder: Path,
    workspace: Path,
    tmp_path: Path,
    weighting: str | None,
    sizes: dict[str, int],
) -> None:
    how = settings(tiny_model_folder, workspace, **STEPS, **sizes)
    alone = trained(how, tmp_path / "alone", weighting)
    first, second = two_ranks(trained, how, tmp_path / "together", weighting)
    check_shares(alone, first, second, how.training.micro_batch_size)
    assert len(alone.losses) == 20
    assert first.losses == pytest.approx(alone.losses, abs=1e-5)
    assert alone.losses[-1] < alone.losses[0] - 0.1
    assert furthest(first.weights, alone.weights) < 5e-5
    assert ("kd" in alone.lines[0]) == (weighting is not None)
    for one, other in zip(alone.lines, first.lines, strict=True):
        for name in ("nll", "kd", "kd_to_nll", "learning_rate", "epoch"):
            assert one.get(name) == pytest.approx(other.get(name), abs=1e-5)


def test_a_weighting_is_fitted_alike_on_every_rank(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path
) -> None:
    how = settings(tiny_model_folder, workspace)
    alone = learned(how)
    assert alone["NLL"] < alone["NLL at equal weights"]
    assert two_ranks(learned, how) == [alone, alone]


class Guess(Weighting):
    """Guesses one weight when fitted, another one on every rank, and in the same weighting each time."""

    def __init__(self) -> None:
        self.first = 0.0

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        first = torch.full((1, logits.shape[1]), self.first)
        return torch.cat([first, 1 - first])

    def fit(self, examples: Iterable[tuple[Tensor, TeacherContext]]) -> dict[str, float]:
        self.first = 0.25 + group.rank() / 2
        return {"first": self.first}


def test_a_weighting_is_fitted_by_rank_zero_for_all(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path
) -> None:
    """Rank 1 would have guessed 0.75, of logits 0 and 4 at weights 0.25 and 0.75."""
    found = two_ranks(guessed, settings(tiny_model_folder, workspace))
    assert found == [({"first": 0.25}, 3.0)] * 2


def guessed(how: Settings) -> tuple[dict[str, float], float]:
    from lbkd.project import Project

    project = Project(how)
    teachers = TeacherLogits({"en": mock.Mock(), "es": mock.Mock()}, Guess())
    with mock.patch.object(TeacherLogits, "_examples", lambda *_: iter(())):
        fitted = teachers.fit(project.train_features)
    assert fitted is not None
    teachers.take(fitted)
    batch = collate(project.train_features, project.train_features.features([("en", "en")])[:1])
    stored = torch.tensor([0.0, 4.0])[None, :, None, None].expand(2, 2, *batch.mask.shape)
    return fitted.learned, float(teachers.logits(batch, stored).start[0, 0])


def learned(how: Settings) -> dict[str, float]:
    from lbkd.project import Project

    project = Project(how)
    fitted = made_up(project, "learned").fit(project.train_features)
    assert fitted is not None
    return fitted.learned


def check_shares(alone: Trained, first: Trained, second: Trained, micro: int | None) -> None:
    """Same global batches, shared without loss or repetition, in micro-batches no larger than asked for."""
    assert alone.batches == first.batches == second.batches
    for batch, *runs in zip(alone.batches, alone.shares, first.shares, second.shares, strict=True):
        whole, one, other = (sorted(sum(parts, [])) for parts in runs)
        assert whole == sorted(one + other) == sorted(batch)
        assert all(len(part) <= (micro or len(batch)) for parts in runs for part in parts)


@pytest.fixture(scope="module")
def stage_zero(tiny_model_folder: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    how = settings(tiny_model_folder, workspace, **IN_PARTS, **{"runtime.zero_stage": 0})
    return trained(how, tmp_path_factory.mktemp("stage-0"))


def staged(folder: Path, stage: int) -> dict[str, str]:
    """The ZeRO stage by a user's file, which lets no weight be small enough to be kept whole."""
    own = folder / "deepspeed.json"
    own.write_text(
        json.dumps({"zero_optimization": {"stage": stage, "stage3_param_persistence_threshold": 0}})
    )
    return {"runtime.deepspeed": str(own)}


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_zero_stages_agree(
    two_ranks: Ranks,
    stage_zero: Trained,
    tiny_model_folder: Path,
    workspace: Path,
    tmp_path: Path,
    stage: int,
) -> None:
    how = settings(tiny_model_folder, workspace, **IN_PARTS, **staged(tmp_path, stage))
    alone = trained(how, tmp_path / "alone")
    first, _ = two_ranks(trained, how, tmp_path / "together")
    for world, run in enumerate((alone, first), start=1):
        assert run.losses == pytest.approx(stage_zero.losses, abs=2e-4)
        assert furthest(run.weights, stage_zero.weights) < 2e-4
        # operations per token, in units of all ranks' peak: as if the weights were whole
        mine, theirs = (
            r.lines[-1]["peak_share"] / r.lines[-1]["tokens_per_second"] for r in (run, stage_zero)
        )
        assert world * mine == pytest.approx(theirs, rel=1e-6)


def patiently_trained(how: Settings, folder: Path) -> Trained:
    """Trained with a skipped step of five, which is more than a run should have."""
    with mock.patch.object(loop, "_MOST_SKIPPED", 1.0):
        return trained(how, folder, None, NotOnRankOne())


def what_went_wrong(how: Settings, folder: Path) -> str:
    with pytest.raises(LbkdError) as raised:
        trained(how, folder, None, NotOnRankOne())
    return str(raised.value)


def test_all_ranks_are_told_what_went_wrong_on_one(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    how = settings(tiny_model_folder, workspace, **{"training.max_steps": 5})
    first, second = two_ranks(what_went_wrong, how, tmp_path)
    assert first == second
    assert "1 of 3 steps were skipped" in first
    assert "NotOnRankOne was not finite in 1 batches of finite logits" in first


def test_a_loss_that_is_no_number_on_one_rank_is_skipped_by_both(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    how = settings(tiny_model_folder, workspace, **{"training.max_steps": 5})
    first, second = two_ranks(patiently_trained, how, tmp_path)
    assert [line["skipped_steps"] for line in first.lines] == [0, 0, 1, 1, 1]
    assert "loss" not in first.lines[2]
    assert all(torch.isfinite(tensor).all() for tensor in first.weights.values())


def test_stage_three_saves_whole_weights(two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForQuestionAnswering

    answers = []
    for name, over in (("zero", {"runtime.zero_stage": 0}), ("three", staged(tmp_path, 3))):
        how = settings(tiny_model_folder, tmp_path / name, **IN_PARTS, **over)
        run = two_ranks(train_baseline, how)[0]
        model, report = AutoModelForQuestionAnswering.from_pretrained(run / "model", output_loading_info=True)
        assert not any(report.values())
        with torch.no_grad():
            out = model(torch.arange(1000, 1100).reshape(4, 25))
        answers.append(torch.cat([out.start_logits, out.end_logits]))
        assert all(tensor.numel() > 1 for tensor in model.state_dict().values())
        assert [path.name for path in run.parent.iterdir()] == ["baseline"]
    assert torch.allclose(*answers, atol=2e-4)


def train_baseline(how: Settings) -> Path:
    from lbkd.project import Project
    from lbkd.training.run import Components
    from lbkd.training.steps import train

    with mock.patch.object(meter, "matmul_peak", lambda *_: 1e10):
        return train(Project(how), Components("baseline"))
