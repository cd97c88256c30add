import pytest
import torch
from lbkd_near_gold import NearGold

from lbkd import weighting_registry
from lbkd.errors import ConfigError
from lbkd.testing import check_weighting, context

# Two teachers, one window of four tokens and one of padding, gold at 1. Distances 1 0 1 2.
# Teacher en: probabilities 0 1/2 1/2 0, so D = 1/2; teacher es: 0 1/2 0 1/2, so D = 1.
# 0 is 1e-9 here, for a probability of 0 marks padding.
LOGITS = torch.tensor([[[1e-9, 0.5, 0.5, 1e-9, 0]], [[1e-9, 0.5, 1e-9, 0.5, 0]]]).log()
CONTEXT = context(LOGITS, gold=[1])


def test_lbkd_knows_it() -> None:
    assert weighting_registry.get("near-gold") is NearGold
    assert weighting_registry.origin("near-gold").startswith("lbkd-near-gold ")


def test_what_a_weighting_must_keep_to() -> None:
    check_weighting(NearGold())


def test_the_nearer_teacher_weighs_more() -> None:
    # 1 / (1 + exp(1/2 - 1)) = 0.622459
    weights = NearGold().weights(LOGITS, CONTEXT)
    torch.testing.assert_close(weights, torch.tensor([[0.622459], [0.377541]]))


def test_temperature() -> None:
    # 1 / (1 + exp((1/2 - 1) / 0.5)) = 0.731059
    weights = weighting_registry.create("near-gold", {"temperature": 0.5}).weights(LOGITS, CONTEXT)
    torch.testing.assert_close(weights, torch.tensor([[0.731059], [0.268941]]))


def test_beyond_its_reach_wrong_is_wrong() -> None:
    # Distances 1 0 1 1: both teachers have D = 1/2
    weights = NearGold(reach=1).weights(LOGITS, CONTEXT)
    torch.testing.assert_close(weights, torch.tensor([[0.5], [0.5]]))


@pytest.mark.parametrize("options", [{"reach": 0}, {"temperature": 0}, {"temperature": "warm"}, {"rech": 3}])
def test_options_that_do_not_fit(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="reach|temperature"):
        weighting_registry.create("near-gold", options)
