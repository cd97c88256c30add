import pytest
import torch
from lbkd_mixed_targets import MixedTargets

from lbkd import criterion_registry
from lbkd.errors import ConfigError
from lbkd.models.span import SpanLogits
from lbkd.testing import batch, check_criterion

# One window of two tokens and one of padding; the answer begins at 0 and ends at 1.
BATCH = batch(starts=[0], ends=[1], mask=torch.tensor([[True, True, False]]))
STUDENT = SpanLogits(torch.tensor([[3 / 4, 1 / 4, 0]]).log(), torch.tensor([[1 / 2, 1 / 2, 0]]).log())
TEACHERS = SpanLogits(torch.tensor([[1 / 2, 1 / 2, 0]]).log(), torch.tensor([[9 / 10, 1 / 10, 0]]).log())


def test_lbkd_knows_it() -> None:
    assert criterion_registry.get("mixed-targets") is MixedTargets
    assert criterion_registry.origin("mixed-targets").startswith("lbkd-mixed-targets ")


def test_what_a_criterion_must_keep_to() -> None:
    check_criterion(MixedTargets())


def test_half_of_each() -> None:
    # Start: target 3/4 1/4, so 3/4 ln 4/3 + 1/4 ln 4 = 0.562335. End: target 9/20 11/20, so ln 2 = 0.693147.
    loss = MixedTargets()(STUDENT, BATCH, TEACHERS)
    torch.testing.assert_close(loss.total, torch.tensor(1.255482))
    torch.testing.assert_close(loss.parts["start"], torch.tensor(0.562335), atol=1e-6, rtol=0)


def test_gold_alone() -> None:
    # ln 4/3 + ln 2 = 0.980829
    loss = criterion_registry.create("mixed-targets", {"share": 0})(STUDENT, BATCH, TEACHERS)
    torch.testing.assert_close(loss.total, torch.tensor(0.980829))


@pytest.mark.parametrize("options", [{"share": 1.5}, {"share": "half"}, {"shore": 0.5}])
def test_options_that_do_not_fit(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="share"):
        criterion_registry.create("mixed-targets", options)
