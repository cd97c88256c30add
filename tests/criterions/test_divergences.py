"""Losses on the teachers' distributions beside the paper's."""

import math

import pytest
import torch
from test_criterions import BATCH, INF, LN2, LN3, NLL, STUDENT, TEACHERS, value

from lbkd.criterions import registry
from lbkd.criterions.jsd import Jsd
from lbkd.criterions.kd import Kd
from lbkd.criterions.logit_mse import LogitMse
from lbkd.criterions.reverse_kl import ReverseKl
from lbkd.models.span import SpanLogits

ALL = ("jsd", "reverse-kl", "logit-mse")


@pytest.mark.parametrize(
    ("teacher", "student", "temperature", "expected"),
    [
        # q = 3/4 1/4, p = 1/2 1/2: 3/4 ln 3/2 - 1/4 ln 2
        ([0.0, 0.0], [LN3, 0.0], 1.0, 0.1308120),
        # q = softmax(ln 3, 0), as above, times tau²
        ([0.0, 0.0], [2 * LN3, 0.0], 2.0, 0.5232481),
        # q = 1/2 1/2, p = 3/4 1/4: 1/2 ln 2/3 + 1/2 ln 2
        ([LN3, 0.0], [0.0, 0.0], 1.0, 0.1438410),
        # q = 0 1 to float32, p = 1 0: ln 1 - (-200)
        ([200.0, 0.0], [0.0, 200.0], 1.0, 200.0),
    ],
)
@pytest.mark.parametrize("padding", [0, 3])
def test_reverse_kl(
    teacher: list[float], student: list[float], temperature: float, expected: float, padding: int
) -> None:
    t, s = (torch.tensor([z + [-INF] * padding]) for z in (teacher, student))
    assert value(ReverseKl(temperature).between(s, t)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("teacher", "student", "temperature", "expected"),
    [
        # p = 1/2 1/2, q = 3/4 1/4, m = 5/8 3/8:
        # KL(p, m) = 1/2 ln 4/5 + 1/2 ln 4/3 = 0.0322693, KL(q, m) = 3/4 ln 6/5 + 1/4 ln 2/3 = 0.0353749
        ([0.0, 0.0], [LN3, 0.0], 1.0, 0.0338221),
        ([LN3, 0.0], [0.0, 0.0], 1.0, 0.0338221),
        ([0.0, 0.0], [2 * LN3, 0.0], 2.0, 4 * 0.0338221),
        # nothing in common: ln 2
        ([200.0, 0.0], [0.0, 200.0], 1.0, LN2),
    ],
)
@pytest.mark.parametrize("padding", [0, 3])
def test_jsd(
    teacher: list[float], student: list[float], temperature: float, expected: float, padding: int
) -> None:
    t, s = (torch.tensor([z + [-INF] * padding]) for z in (teacher, student))
    assert value(Jsd(temperature).between(s, t)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("padding", [0, 3])
def test_logit_mse(padding: int) -> None:
    # less their means: 2 -1 -1 and -1 1 0; apart 3 -2 -1; (9 + 4 + 1) / (2 * 3). Equal up to a constant: 0
    student = torch.tensor([[5.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    teacher = torch.tensor([[1.0, 3.0, 2.0], [8.0, 9.0, 10.0]])
    s, t = (torch.nn.functional.pad(z, (0, padding), value=-INF) for z in (student, teacher))
    assert value(LogitMse().between(s, t)) == pytest.approx(14 / 6 / 2, abs=1e-6)


def test_kd_tends_to_logit_mse() -> None:
    """Its excess over the teachers' own entropy, at a temperature far above the logits."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(4, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    kd = Kd(1e4)
    excess = value(kd.between(student, teacher) - kd.between(teacher, teacher))
    assert excess == pytest.approx(value(LogitMse().between(student, teacher)), rel=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_left_where_the_student_is_its_teacher(name: str) -> None:
    leaves = [z.clone().requires_grad_() for z in TEACHERS]
    loss = registry.create(name)(SpanLogits(*leaves), BATCH, TEACHERS)
    assert value(loss.total) == pytest.approx(0, abs=1e-6)
    loss.total.backward()
    for z in leaves:
        assert z.grad is not None
        torch.testing.assert_close(z.grad, torch.zeros(2, 3), atol=1e-6, rtol=0)


def test_gradient_of_jsd() -> None:
    # d/dz of KL(q, m) / 2 + KL(p, m) / 2 is q (f - sum q f) with f = ln(q / m) / 2.
    # q = 3/4 1/4, m = 5/8 3/8: f = ln(6/5) / 2, ln(2/3) / 2; q (1 - q) (f1 - f2) = 3/16 ln(9/5) / 2
    student = torch.tensor([[LN3, 0.0, -INF]], requires_grad=True)
    Jsd(1.0).between(student, torch.tensor([[0.0, 0.0, -INF]])).backward()
    assert student.grad is not None
    g = 3 / 16 * math.log(9 / 5) / 2
    torch.testing.assert_close(student.grad, torch.tensor([[g, -g, 0.0]]))


@pytest.mark.parametrize("name", ALL)
def test_combined_takes_any(name: str) -> None:
    own = {} if name == "logit-mse" else {"temperature": 1.0}
    kd = value(registry.create(name, own)(STUDENT, BATCH, TEACHERS).total)
    loss = registry.create("combined", {"kd": name, "temperature": 1.0})(STUDENT, BATCH, TEACHERS)
    assert value(loss.total) == pytest.approx(0.5 * NLL + 0.5 * kd, abs=1e-6)
    assert value(loss.parts["kd"]) == pytest.approx(kd, abs=1e-6)
