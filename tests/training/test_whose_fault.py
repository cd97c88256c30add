"""A number that is wrong in the middle of a run, and whose it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import made_up, settings, trained
from torch import Tensor

from lbkd.config import Settings
from lbkd.contracts.losses import LossContract
from lbkd.contracts.weights import WeightsContract
from lbkd.criterions import Criterion, Loss
from lbkd.criterions import registry as criterions
from lbkd.errors import LbkdError
from lbkd.features.batches import collate
from lbkd.models.span import SpanLogits
from lbkd.project import Project
from lbkd.registry.errors import PluginError
from lbkd.weighting import TeacherContext, Weighting
from lbkd.weighting import registry as weightings


@pytest.fixture
def how(tiny_model_folder: Path, workspace: Path) -> Settings:
    return settings(tiny_model_folder, workspace, **{"training.max_steps": 10, "training.log_every": 5})


class Later(Weighting):
    """Equal weights at first, then something else."""

    change: Callable[[Tensor], Tensor] = staticmethod(lambda weights: weights)
    after = 0

    def __init__(self) -> None:
        self.calls = 0

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        self.calls += 1
        equal = torch.full_like(logits[:, :, 0], 1 / len(logits))
        return equal if self.calls <= self.after else self.change(equal)


CHANGES: dict[str, tuple[int, Callable[[Tensor], Tensor], str]] = {
    "in the first batch": (0, lambda w: w * 2, r"en 1, es 1 in example 1 of 8 \(sum 2\)"),
    "in a later one": (
        10,
        lambda w: w * 2,
        "least weight 1, sums from 2 to 2",
    ),
    "not a number": (10, lambda w: w * torch.nan, r"least weight nan.*Padding is -inf"),
    "below zero": (10, lambda w: w * torch.tensor([[3.0], [-1.0]]), "least weight -0.5, sums from 1 to 1"),
}


@pytest.mark.parametrize(("after", "change", "told"), CHANGES.values(), ids=CHANGES)
def test_weights_that_are_wrong_in_the_middle(
    after: int,
    change: Any,
    told: str,
    how: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five steps call ten times, and then the numbers are looked at."""
    monkeypatch.setattr(weightings, "_scripted", {"later": Later})
    monkeypatch.setattr(Later, "after", after)
    monkeypatch.setattr(Later, "change", staticmethod(change))
    with pytest.raises(
        PluginError, match=f"weighting 'later' of the script's .*: `weights` must be .*({told})"
    ):
        trained(how, tmp_path, "later")


class Worse(Criterion):
    """NLL, spoilt from the third batch on."""

    def __init__(self, spoil: Callable[[Any, Loss], Tensor]) -> None:
        self.spoil, self.calls, self.nll = spoil, 0, criterions.create("nll")

    def __call__(self, student: Any, batch: Any, teachers: Any) -> Loss:
        self.calls += 1
        loss = self.nll(student, batch, None)
        return Loss(self.spoil(student, loss), loss.parts) if self.calls > 2 else loss


SPOILT: dict[str, tuple[Callable[[Any, Loss], Tensor], str]] = {
    "the loss": (
        lambda _, loss: loss.total * torch.nan,
        r"3 of 5 steps were skipped, 3 of them in a row: the loss of .*Worse was not finite in 3 batches",
    ),
    "its gradient": (
        lambda student, loss: loss.total + (student.start[0, 0] * 0).sqrt(),
        "3 of 5 steps were skipped.*the losses were finite, but not the gradient of .*Worse",
    ),
}


@pytest.mark.parametrize(("spoil", "told"), SPOILT.values(), ids=SPOILT)
def test_a_run_that_skips_many_steps_fails(spoil: Any, told: str, how: Settings, tmp_path: Path) -> None:
    with pytest.raises(LbkdError, match=told):
        trained(how, tmp_path, criterion=Worse(spoil))


def test_whose_number_was_the_first() -> None:
    """Teachers before student before criterion; padding counts for nobody."""
    mask = torch.tensor([[True, True, False]])
    good, bad = torch.tensor([[0.0, 1.0, -torch.inf]]), torch.tensor([[torch.nan, 1.0, -torch.inf]])

    class Nan(Criterion):
        def __call__(self, student: Any, batch: Any, teachers: Any) -> Loss:
            return Loss(student.start[0, 0] * (torch.nan if self.spoilt else 1))

        spoilt = False

    batch: Any = type("OneWindow", (), {"mask": mask})
    contract, criterion = LossContract(), Nan()
    for student, teachers, spoilt, causes in (
        (good, good, False, [0, 0, 0]),
        (good, bad, True, [1, 0, 0]),
        (bad, good, True, [1, 1, 0]),
        (good, good, True, [1, 1, 1]),
    ):
        criterion.spoilt = spoilt
        contract.loss(criterion, SpanLogits(student, student), batch, SpanLogits(teachers, teachers))
        assert contract.causes() == causes


def test_weights_are_checked_for_what_they_are(how: Settings) -> None:
    """Half precision is enough; no gradient is kept."""
    project = Project(how)
    teachers = made_up(project, "impurity")
    batch = collate(project.train_features, project.train_features.features([("en", "en")])[:3])
    [logits, context], _ = teachers._halves(batch, teachers.read(batch))

    class Half(Weighting):
        def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
            scale = torch.ones((), requires_grad=True)
            return (logits.amax(-1) * scale).softmax(0).bfloat16()

    contract = WeightsContract()
    found = contract.weights(Half(), logits.clone(), context)
    assert (found.dtype, found.requires_grad) == (torch.float32, False)
    contract.look(Half())
