"""What holds for every registered weighting, whoever provides it."""

import pytest
import torch
from test_weighting import PROBABILITIES
from torch import Tensor

from lbkd.testing import check_weighting, context
from lbkd.weighting import aggregate, registry

every = pytest.mark.parametrize("name", registry.names())


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@every
@pytest.mark.parametrize("teachers", [("en", "es"), ("en", "es", "es", "de-2")])
def test_what_a_weighting_must_keep_to(name: str, teachers: tuple[str, ...]) -> None:
    check_weighting(registry.create(name), teachers)


@every
def test_the_sum_is_minus_infinity_at_padding_alone(name: str) -> None:
    known = context(PROBABILITIES)
    summed = aggregate(PROBABILITIES, registry.create(name).weights(PROBABILITIES, known), known.mask)
    assert torch.equal(summed.isfinite(), known.mask)
    assert torch.equal(summed.isneginf(), ~known.mask)


@every
def test_nothing_need_be_fitted(name: str) -> None:
    """Without a fit, or with one on nothing, a weighting gives the same weights."""
    chosen = registry.create(name)
    before = chosen.weights(PROBABILITIES, context(PROBABILITIES))
    chosen.fit([])
    assert torch.equal(chosen.weights(PROBABILITIES, context(PROBABILITIES)), before)


@every
def test_float32_is_enough(name: str) -> None:
    """Over a long window of nearly equal logits the weights are what float64 gives."""
    logits = torch.randn(3, 2, 384, generator=torch.Generator().manual_seed(7)) / 100
    known = context(logits, gold=[3, 300], passages=["es", "de"])
    chosen = registry.create(name)
    close(chosen.weights(logits, known).double(), chosen.weights(logits.double(), known).double())
