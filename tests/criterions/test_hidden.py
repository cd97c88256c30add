"""The loss on last hidden states, by hand."""

from collections.abc import Sequence

import pytest
import torch
from test_criterions import BATCH, MASK, NLL, STUDENT, TEACHERS
from torch import Tensor

from lbkd.contracts.trial import teaches_head, try_criterion
from lbkd.criterions import Criterion, Loss, registry
from lbkd.criterions.hidden import Hidden
from lbkd.criterions.nll import Nll
from lbkd.features.batches import Batch
from lbkd.models.span import SpanLogits
from lbkd.registry.errors import PluginError

# Two teachers, the one with states of one number, the other of two; padding has numbers, too.
MINE = [
    torch.tensor([[1.0, 2.0, 9.0], [0.0, 0.0, 3.0]])[:, :, None],
    torch.tensor([[[1.0, 1.0], [0.0, 0.0], [9.0, 9.0]], [[0.0, 2.0], [0.0, 0.0], [0.0, 0.0]]]),
]
THEIRS = [
    torch.tensor([[0.0, 4.0, -9.0], [1.0, 1.0, 1.0]])[:, :, None],
    torch.tensor([[[0.0, 1.0], [0.0, 2.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0], [2.0, 2.0]]]),
]
WEIGHTS = torch.tensor([[0.25, 1.0], [0.75, 0.0]])
# First window: (1 + 4) / 2 and (1/2 + 4/2) / 2, weighed 1/4 and 3/4: 25/16. Second: (1 + 1 + 4) / 3 alone.
HIDDEN = (25 / 16 + 2) / 2


def random_states(widths: tuple[int, ...], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, width, generator=generator) for width in widths]


def test_hidden() -> None:
    loss = Hidden().hidden(MINE, THEIRS, WEIGHTS, MASK)
    assert loss.total.item() == pytest.approx(HIDDEN, abs=1e-6)
    assert loss.parts["kd"].item() == pytest.approx(HIDDEN, abs=1e-6)
    assert Hidden()(STUDENT, BATCH, TEACHERS).total.item() == 0


def test_combined_adds_it_to_the_gold_answers() -> None:
    criterion = registry.create("combined", {"kd": "hidden", "nll_weight": 0.25, "kd_weight": 2.0})
    spans = criterion(STUDENT, BATCH, TEACHERS)
    hidden = criterion.hidden(MINE, THEIRS, WEIGHTS, MASK)
    assert (spans.total + hidden.total).item() == pytest.approx(0.25 * NLL + 2 * HIDDEN, abs=1e-6)
    assert (*spans.parts, *hidden.parts) == ("nll", "kd")
    assert hidden.parts["kd"].item() == pytest.approx(HIDDEN, abs=1e-6)


def test_nothing_of_padding_counts() -> None:
    mine = [states.clone().requires_grad_() for states in MINE]
    theirs = [states.masked_fill(~MASK[:, :, None], 1e6) for states in THEIRS]
    loss = Hidden().hidden(mine, theirs, WEIGHTS, MASK)
    assert loss.total.item() == pytest.approx(HIDDEN, abs=1e-6)
    loss.total.backward()
    for states in mine:
        assert states.grad is not None
        assert (states.grad[~MASK] == 0).all()


def test_the_gradient_is_that_of_the_distance_to_the_weighted_sum() -> None:
    """2 (h - sum_k w_k h_k) / (n H N) at every real token."""
    mine = random_states((4,), 1)[0].requires_grad_()
    theirs = random_states((4, 4), 2)
    Hidden().hidden([mine, mine], theirs, WEIGHTS, MASK).total.backward()
    middle = sum(weight[:, None, None] * states for weight, states in zip(WEIGHTS, theirs, strict=True))
    tokens = torch.tensor([2.0, 3.0])[:, None, None]
    expected = (2 * (mine.detach() - middle) / (tokens * 4 * 2)).masked_fill(~MASK[:, :, None], 0.0)
    torch.testing.assert_close(mine.grad, expected)


def test_the_order_of_the_teachers_does_not_matter() -> None:
    widths = (4, 2, 4)
    mine, theirs = random_states(widths, 1), random_states(widths, 2)
    weights = torch.rand(3, 2, generator=torch.Generator().manual_seed(3)).softmax(0)
    expected = Hidden().hidden(mine, theirs, weights, MASK).total
    order = [2, 0, 1]
    turned = [mine[k] for k in order], [theirs[k] for k in order], weights[order]
    torch.testing.assert_close(Hidden().hidden(*turned, MASK).total, expected)


class Rows(Criterion):
    """Compares whole rows, padding too."""

    needs_teachers = needs_hidden = True

    def __call__(self, student: SpanLogits, batch: Batch, teachers: SpanLogits | None) -> Loss:
        return Nll()(student, batch, None)

    def hidden(
        self, student: Sequence[Tensor], teachers: Sequence[Tensor], weights: Tensor, mask: Tensor
    ) -> Loss:
        return Loss(
            sum(((s - t).abs().mean() for s, t in zip(student, teachers, strict=True)), torch.zeros(()))
        )


class Lacking(Rows):
    """Has no method of its own."""

    hidden = Criterion.hidden


class Alone(Rows):
    """Wants hidden states of no teachers."""

    needs_teachers = False


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (Rows(), "more padding changes its loss"),
        (Lacking(), "Lacking has needs_hidden, but no method hidden"),
        (Alone(), "needs_hidden goes with needs_teachers"),
    ],
)
def test_criterions_of_others_are_tried(criterion: Criterion, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        try_criterion(criterion)


@pytest.mark.parametrize("name", registry.names())
def test_all_but_hidden_states_alone_teach_the_head(name: str) -> None:
    assert teaches_head(registry.create(name)) == (name != "hidden")
    if name == "combined":
        assert not teaches_head(registry.create(name, {"kd": "hidden", "nll_weight": 0.0}))
