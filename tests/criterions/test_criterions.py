import math

import pytest
import torch
from torch import Tensor

from lbkd.criterions import registry
from lbkd.criterions.combined import Combined
from lbkd.criterions.kd import Kd, soft_cross_entropy
from lbkd.criterions.mlm import Mlm
from lbkd.criterions.nll import Nll
from lbkd.errors import ConfigError
from lbkd.models.span import SpanLogits
from lbkd.testing import batch

INF = float("inf")
LN2, LN3 = math.log(2), math.log(3)


# Two windows of three positions; the last of the first window is padding.
MASK = torch.tensor([[True, True, False], [True, True, True]])
BATCH = batch([0, 0], [1, 2], MASK)
STUDENT = SpanLogits(
    torch.tensor([[LN3, 0.0, -INF], [0.0, 0.0, 0.0]]),  # softmax: 3/4 1/4; 1/3 1/3 1/3
    torch.tensor([[0.0, 0.0, -INF], [LN2, 0.0, 0.0]]),  # softmax: 1/2 1/2; 1/2 1/4 1/4
)
TEACHERS = SpanLogits(
    torch.tensor([[0.0, 0.0, -INF], [LN2, 0.0, 0.0]]),  # softmax: 1/2 1/2; 1/2 1/4 1/4
    torch.tensor([[2 * LN3, 0.0, -INF], [LN2, 0.0, 0.0]]),  # softmax: 9/10 1/10; 1/2 1/4 1/4
)
# Gold start 0 and 0, gold end 1 and 2: (ln 4/3 + ln 2) and (ln 3 + ln 4), together ln 32, by two examples
NLL = 1.7328680
# Temperature 1. Start: 1/2 ln 4/3 + 1/2 ln 4 = 0.8369882; ln 3 = 1.0986123.
# End: 9/10 ln 2 + 1/10 ln 2 = 0.6931472; 1/2 ln 2 + 2 * 1/4 ln 4 = 1.0397208.
# Together 3.6684685, by two examples
KD_1 = 1.8342342


def value(loss: Tensor) -> float:
    return loss.item()


def test_nll() -> None:
    loss = Nll()(STUDENT, BATCH, None)
    assert value(loss.total) == pytest.approx(NLL, abs=1e-6)
    assert value(loss.parts["nll"]) == pytest.approx(NLL, abs=1e-6)


def test_nll_takes_no_notice_of_teachers() -> None:
    assert torch.equal(Nll()(STUDENT, BATCH, TEACHERS).total, Nll()(STUDENT, BATCH, None).total)


@pytest.mark.parametrize(
    ("teacher", "student", "temperature", "expected"),
    [
        # p = 1/2 1/2, q = 3/4 1/4: 1/2 ln 4/3 + 1/2 ln 4
        ([0.0, 0.0], [LN3, 0.0], 1.0, 0.8369882),
        # p = 1/2 1/2, q = softmax(ln 3 / 2, 0) = 0.6339746 0.3660254: (0.4557463 + 1.0050525) / 2 * 4
        ([0.0, 0.0], [LN3, 0.0], 2.0, 2.9215976),
        # p = softmax(ln 3, 0) = 3/4 1/4, q = 1/2 1/2: ln 2 * 4
        ([2 * LN3, 0.0], [0.0, 0.0], 2.0, 2.7725887),
        # p = 3/4 1/4, q = softmax(2 ln 3, 0) = 9/10 1/10: (3/4 * 0.1053605 + 1/4 * 2.3025851) * 4
        ([2 * LN3, 0.0], [4 * LN3, 0.0], 2.0, 2.6186666),
        # Temperature 1/2. p = softmax(ln 3, 0), q = softmax(2 ln 3, 0), as above: 0.6546666 / 4
        ([LN3 / 2, 0.0], [LN3, 0.0], 0.5, 0.1636667),
        # p = 1 0 to float32, q = 1 0: nothing left; p = 1 0, q = 0 1: 1 * 200
        ([200.0, 0.0], [200.0, 0.0], 1.0, 0.0),
        ([200.0, 0.0], [0.0, 200.0], 1.0, 200.0),
    ],
)
@pytest.mark.parametrize("padding", [0, 3])
def test_soft_cross_entropy(
    teacher: list[float], student: list[float], temperature: float, expected: float, padding: int
) -> None:
    t, s = (torch.tensor([z + [-INF] * padding]) for z in (teacher, student))
    assert value(soft_cross_entropy(s, t, temperature)) == pytest.approx(expected, abs=2e-6)


def test_soft_cross_entropy_is_the_mean_over_examples() -> None:
    # 0.8369882 as above; p = q = 1/2 1/2: ln 2 = 0.6931472; half of the sum
    teacher = torch.zeros(2, 2)
    student = torch.tensor([[LN3, 0.0], [0.0, 0.0]])
    assert value(soft_cross_entropy(student, teacher, 1.0)) == pytest.approx(0.7650677, abs=1e-6)


def test_mlm_adds_masked_tokens_to_the_nll() -> None:
    # two tokens over a vocabulary of three: softmax 3/4 1/8 1/8 and 1/3 1/3 1/3
    logits = torch.tensor([[math.log(6), 0.0, 0.0], [1.0, 1.0, 1.0]])
    labels = torch.tensor([0, 2])
    # (ln 4/3 + ln 3) / 2 = ln 2
    for weight in (1.0, 0.25, 0.0):
        mlm = Mlm(weight)
        assert value(mlm(STUDENT, BATCH, None).total) == pytest.approx(NLL, abs=1e-6)
        beside = mlm.masked(logits, labels)
        assert value(beside.total) == pytest.approx(weight * LN2, abs=1e-6)
        assert value(beside.parts["mlm"]) == pytest.approx(LN2, abs=1e-6)


def test_mlm_without_masked_tokens_is_zero() -> None:
    logits = torch.zeros((0, 3), requires_grad=True)
    beside = Mlm().masked(logits, torch.zeros(0, dtype=torch.int64))
    assert (value(beside.total), value(beside.parts["mlm"])) == (0, 0)
    beside.total.backward()


@pytest.mark.parametrize("weight", [-0.1, INF, float("nan")])
def test_mlm_weight(weight: float) -> None:
    with pytest.raises(ConfigError, match=r"^weight = .*: must be at least 0 and finite"):
        Mlm(weight)


@pytest.mark.parametrize("weights", [(-1.0, 0.5), (0.5, -0.1), (0.0, 0.0), (INF, 0.5), (float("nan"), 0.5)])
def test_weights_of_the_parts(weights: tuple[float, float]) -> None:
    """One part alone is a choice; to learn nothing, or away from the labels, is none."""
    with pytest.raises(ConfigError, match=r"^nll_weight = .*, kd_weight = .*: each must be at least 0"):
        Combined(*weights)
    Combined(0.0, 1.0), Combined(1.0, 0.0)


def test_masked_tokens_are_for_criterions_that_say_so() -> None:
    with pytest.raises(NotImplementedError, match="Nll has needs_masks, but no method masked"):
        Nll().masked(torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64))
    assert [name for name in registry.names() if registry.get(name).needs_masks] == ["mlm"]


def test_kd() -> None:
    loss = Kd(temperature=1)(STUDENT, BATCH, TEACHERS)
    assert value(loss.total) == pytest.approx(KD_1, abs=1e-6)
    assert value(loss.parts["kd"]) == pytest.approx(KD_1, abs=1e-6)


def test_kd_gives_the_logits_scaled_by_tau_the_loss_scaled_by_tau_squared() -> None:
    # softmax(3 z / 3) = softmax(z), so 9 * KD_1
    student, teachers = (SpanLogits(*(3 * z for z in end)) for end in (STUDENT, TEACHERS))
    loss = Kd(temperature=3)(student, BATCH, teachers)
    assert value(loss.total) == pytest.approx(9 * KD_1, abs=1e-5)


def test_gradient_of_kd() -> None:
    # d/dz of -tau² sum p log softmax(z / tau) is tau (q - p).
    # tau 2, q = softmax(ln 3, 0) = 3/4 1/4, p = 1/2 1/2: 2 * (1/4, -1/4); padding gets none
    student = torch.tensor([[2 * LN3, 0.0, -INF]], requires_grad=True)
    soft_cross_entropy(student, torch.tensor([[0.0, 0.0, -INF]]), 2.0).backward()
    assert student.grad is not None
    torch.testing.assert_close(student.grad, torch.tensor([[0.5, -0.5, 0.0]]))


def test_gradient_of_nll() -> None:
    # q - gold, by two examples: (3/4 - 1, 1/4, 0) / 2 and (1/3 - 1, 1/3, 1/3) / 2
    start = STUDENT.start.clone().requires_grad_()
    Nll()(SpanLogits(start, STUDENT.end), BATCH, None).total.backward()
    assert start.grad is not None
    torch.testing.assert_close(start.grad, torch.tensor([[-1 / 8, 1 / 8, 0], [-1 / 3, 1 / 6, 1 / 6]]))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 8.0])
def test_no_gradient_where_the_student_is_its_teacher(temperature: float) -> None:
    student = [z.clone().requires_grad_() for z in TEACHERS]
    Kd(temperature)(SpanLogits(*student), BATCH, TEACHERS).total.backward()
    for z in student:
        assert z.grad is not None
        torch.testing.assert_close(z.grad, torch.zeros(2, 3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (1.0, 0.0), (0.0, 1.0), (0.3, 1.7)])
def test_combined(weights: tuple[float, float]) -> None:
    # lambda 1 * NLL + lambda 2 * KD; the parts are told unweighted
    loss = Combined(*weights, temperature=1)(STUDENT, BATCH, TEACHERS)
    assert value(loss.total) == pytest.approx(weights[0] * NLL + weights[1] * KD_1, abs=1e-6)
    assert {name: value(part) for name, part in loss.parts.items()} == {
        "nll": pytest.approx(NLL, abs=1e-6),
        "kd": pytest.approx(KD_1, abs=1e-6),
    }


def test_the_papers_settings_are_the_defaults() -> None:
    # section 4.1.3: tau 2, lambda 0.5 each
    paper = Combined(nll_weight=0.5, kd_weight=0.5, temperature=2)(STUDENT, BATCH, TEACHERS)
    assert torch.equal(Combined()(STUDENT, BATCH, TEACHERS).total, paper.total)
    assert torch.equal(Kd()(STUDENT, BATCH, TEACHERS).total, Kd(2)(STUDENT, BATCH, TEACHERS).total)


def test_which_criterions_need_teachers() -> None:
    assert {name: registry.get(name).needs_teachers for name in ["nll", "kd", "combined"]} == {
        "nll": False,
        "kd": True,
        "combined": True,
    }
    for name in ["kd", "combined"]:
        with pytest.raises(ConfigError, match="needs teachers: use a task that has some, such as 'distill'"):
            registry.create(name)(STUDENT, BATCH, None)


@pytest.mark.parametrize("name", ["kd", "combined"])
@pytest.mark.parametrize("temperature", [0.0, -2.0, float("nan"), INF])
def test_temperature_must_be_positive(name: str, temperature: float) -> None:
    with pytest.raises(ConfigError, match=rf"^criterion\.{name}: temperature = .*above 0"):
        registry.create(name, {"temperature": temperature})
