import math

import pytest
import torch
from torch import Tensor

from lbkd.errors import ConfigError
from lbkd.testing import context
from lbkd.weighting import aggregate, entropy, registry
from lbkd.weighting.agreement import Agreement
from lbkd.weighting.best_teacher import BestTeacher
from lbkd.weighting.ca_mkd import CaMkd
from lbkd.weighting.confidence import Confidence
from lbkd.weighting.ebkd import Ebkd
from lbkd.weighting.fixed import Fixed
from lbkd.weighting.impurity import Impurity
from lbkd.weighting.language_match import LanguageMatch
from lbkd.weighting.margin import Margin
from lbkd.weighting.max_probability import MaxProbability

INF = float("inf")
LANGUAGES = ["en", "es", "de", "fr"]


def stacked(*teachers: list[list[float]]) -> Tensor:
    """(K, B, L) logits whose softmax is the given probabilities; a probability of 0 is padding."""
    return torch.tensor(teachers).log()


def equal(found: Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=2e-6, rtol=0)


# Three teachers, two examples; the second has two real tokens. Entropies I in nats, as e^I:
#   (1/4 1/4 1/4 1/4)      I = ln 4                                      e^I = 4
#   (1/2 1/6 1/6 1/6)      I = 1/2 ln 2 + 1/2 ln 6 = 1/2 ln 12           e^I = sqrt 12          = 3.4641016
#   (3/4 1/12 1/12 1/12)   I = 3/4 ln 4/3 + 1/4 ln 12 = 1/4 ln(256/9)    e^I = 4 / sqrt 3       = 2.3094011
#   (3/4 1/4)              I = 3/4 ln 4/3 + 1/4 ln 4 = ln 4 - 3/4 ln 3   e^I = 4 / 3^(3/4)      = 1.7547654
#   (1/2 1/2)              I = ln 2                                      e^I = 2
PROBABILITIES = stacked(
    [[1 / 4, 1 / 4, 1 / 4, 1 / 4], [3 / 4, 1 / 4, 0, 0]],
    [[1 / 2, 1 / 6, 1 / 6, 1 / 6], [1 / 2, 1 / 2, 0, 0]],
    [[3 / 4, 1 / 12, 1 / 12, 1 / 12], [1 / 2, 1 / 2, 0, 0]],
)


def test_entropy() -> None:
    # ln 4, 1/2 ln 12, 1/4 ln(256/9); ln 4 - 3/4 ln 3, ln 2, ln 2
    expected = [[1.386294, 0.562335], [1.242453, 0.693147], [0.836988, 0.693147]]
    equal(entropy(PROBABILITIES), expected)
    equal(entropy(PROBABILITIES + 100), expected)  # softmax does not see a constant


def test_entropy_of_one_certain_token() -> None:
    equal(entropy(torch.tensor([[[5.0, -INF], [1000.0, 0.0]]])), [[0, 0]])


@pytest.mark.parametrize("gap", [5.0, 20.0, 80.0])
def test_entropy_of_the_nearly_certain_keeps_its_digits(gap: float) -> None:
    # r = e^-gap: ln(1 + r) + gap r / (1 + r)
    r = math.exp(-gap)
    expected = torch.tensor([math.log1p(r) + gap * r / (1 + r)])
    torch.testing.assert_close(entropy(torch.tensor([[0.0, -gap, -INF]])), expected, atol=0, rtol=1e-5)


def test_impurity_is_equation_7_as_printed() -> None:
    # 4 + 3.4641016 + 2.3094011 = 9.7735027; 1.7547654 + 2 + 2 = 5.7547654
    # 4 / 9.7735027, 3.4641016 / 9.7735027, ...: the unsure teacher weighs most
    expected = [[0.409270, 0.304924], [0.354438, 0.347538], [0.236292, 0.347538]]
    equal(Impurity().weights(PROBABILITIES, context(PROBABILITIES)), expected)


def test_impurity_at_temperature_2() -> None:
    # exp(I / 2) is the square root of e^I: 2 + 1.8612097 + 1.5196714 = 5.3808811
    # and 1.3246756 + 2 * 1.4142136 = 4.1531028
    expected = [[0.371686, 0.318960], [0.345893, 0.340520], [0.282421, 0.340520]]
    equal(Impurity(temperature=2).weights(PROBABILITIES, context(PROBABILITIES)), expected)


def test_confidence_turns_the_sign() -> None:
    # 1/4 + 0.2886751 + 0.4330127 = 0.9716878; 0.5698767 + 1/2 + 1/2 = 1.5698767
    expected = [[0.257284, 0.363007], [0.297086, 0.318496], [0.445630, 0.318496]]
    equal(Confidence().weights(PROBABILITIES, context(PROBABILITIES)), expected)


def test_confidence_at_temperature_2() -> None:
    # 1/2 + 0.5372850 + 0.6580370 = 1.6953220; 0.7549018 + 2 * 0.7071068 = 2.1691154
    expected = [[0.294929, 0.348023], [0.316922, 0.325988], [0.388149, 0.325988]]
    equal(Confidence(temperature=2).weights(PROBABILITIES, context(PROBABILITIES)), expected)


def test_ca_mkd() -> None:
    # exp(cross-entropy) is 1 / p(gold).
    # Gold at 0: 4, 2, 4/3, together 22/3: (1 - 12/22) / 2 = 5/22, (1 - 6/22) / 2 = 8/22,
    # (1 - 4/22) / 2 = 9/22
    # Gold at 1: 4, 2, 2, together 8: (1 - 4/8) / 2 = 1/4, (1 - 2/8) / 2 = 3/8, 3/8
    expected = [[5 / 22, 1 / 4], [8 / 22, 3 / 8], [9 / 22, 3 / 8]]
    equal(CaMkd().weights(PROBABILITIES, context(PROBABILITIES, gold=[0, 1])), expected)


def test_ca_mkd_turns_down_a_teacher_that_is_sure_and_wrong() -> None:
    # CE of the first is 100, of the second 0: softmax (1, 0) to float32; (1 - 1) / 1 and (1 - 0) / 1
    logits = torch.tensor([[[0.0, 100.0]], [[100.0, 0.0]]])
    equal(CaMkd().weights(logits, context(logits)), [[0.0], [1.0]])


def test_fixed_is_one_over_k_unless_given() -> None:
    equal(Fixed().weights(PROBABILITIES, context(PROBABILITIES)), [[1 / 3, 1 / 3]] * 3)


def test_fixed_scales_what_is_given_and_the_others_count_nothing() -> None:
    # en 2, de 1, together 3
    weights = Fixed({"de": 1, "en": 2}).weights(PROBABILITIES, context(PROBABILITIES))
    equal(weights, [[2 / 3, 2 / 3], [0, 0], [1 / 3, 1 / 3]])


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_fixed_takes_numbers_beyond_float32(size: float) -> None:
    weights = Fixed({"en": size, "es": 3 * size}).weights(PROBABILITIES[:2], context(PROBABILITIES[:2]))
    equal(weights, [[1 / 4, 1 / 4], [3 / 4, 3 / 4]])


@pytest.mark.parametrize(
    "given", [{}, {"en": 0.0}, {"en": 2.0, "es": -1.0}, {"en": float("nan")}, {"en": INF}, {"en": -INF}]
)
def test_fixed_refuses_weights_without_a_sum(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"^weights = .*one of them above 0"):
        Fixed(given)


def test_fixed_refuses_an_unknown_teacher() -> None:
    with pytest.raises(ConfigError, match=r"no teacher 'dee'; did you mean 'de'\? Choices: de, en, es\."):
        Fixed({"dee": 1}).weights(PROBABILITIES, context(PROBABILITIES))
    with pytest.raises(ConfigError, match="no teacher 'es'; .*hoices: en, mix-mrc-1"):
        Fixed({"es": 1}).check(["en", "mix-mrc-1"])


def test_language_match() -> None:
    # German passage: the German teacher; French passage: no such teacher, so all alike
    weights = LanguageMatch().weights(PROBABILITIES, context(PROBABILITIES, passages=["de", "fr"]))
    equal(weights, [[0, 1 / 3], [0, 1 / 3], [1, 1 / 3]])


def test_language_match_asks_for_the_passage_not_the_question() -> None:
    known = context(PROBABILITIES, passages=["es", "en"], questions=["de", "es"])
    equal(LanguageMatch().weights(PROBABILITIES, known), [[0, 1], [1, 0], [0, 0]])


def test_language_match_shares_among_teachers_of_one_language() -> None:
    known = context(PROBABILITIES, teachers=["en", "es", "en"], passages=["en", "es"])
    equal(LanguageMatch().weights(PROBABILITIES, known), [[1 / 2, 0], [0, 1], [1 / 2, 0]])


def test_max_probability() -> None:
    # 1/4 + 1/2 + 3/4 = 3/2; 3/4 + 1/2 + 1/2 = 7/4
    expected = [[1 / 6, 3 / 7], [1 / 3, 2 / 7], [1 / 2, 2 / 7]]
    equal(MaxProbability().weights(PROBABILITIES, context(PROBABILITIES)), expected)


def test_max_probability_of_the_certain_and_of_the_unsure() -> None:
    # 1 and 1/4: 4 to 1, and a window of one real token, of which every teacher is certain
    logits = stacked([[1, 0, 0, 0], [1, 0, 0, 0]], [[1 / 4] * 4, [1, 0, 0, 0]])
    logits[0, 0, 1:] = -1000  # real tokens, without a probability
    equal(MaxProbability().weights(logits, context(logits)), [[4 / 5, 1 / 2], [1 / 5, 1 / 2]])


def test_margin() -> None:
    # Margins 0, 1/3, 2/3 and 1/2, 0, 0. At T = 1 / (3 ln 2) exp(M / T) is 2^3M: 1, 2, 4; 2^1.5, 1, 1
    expected = [[1 / 7, 0.585786], [2 / 7, 0.207107], [4 / 7, 0.207107]]
    margin = Margin(temperature=1 / (3 * math.log(2)))
    equal(margin.weights(PROBABILITIES, context(PROBABILITIES)), expected)


def test_margin_at_its_default_temperature() -> None:
    # 1, e^(10/3) = 28.0316249, e^(20/3) = 785.7719942; e^5 = 148.4131591, 1, 1
    expected = [[0.001227, 0.986703], [0.034403, 0.006648], [0.964370, 0.006648]]
    equal(Margin().weights(PROBABILITIES, context(PROBABILITIES)), expected)


@pytest.mark.parametrize("width", [1, 3])
def test_margin_of_one_real_token_is_1(width: int) -> None:
    # Whatever its logit, so that teachers weigh the same; padding is no second choice
    logits = torch.full((2, 1, width), -INF)
    logits[:, 0, 0] = torch.tensor([-7.0, 500.0])
    equal(Margin(temperature=1).weights(logits, context(logits)), [[1 / 2], [1 / 2]])


def test_margin_is_of_two_positions() -> None:
    # Two at the top: margin 0, not 0.48 - 0.04. The other: 0.5 - 0.3. T = 0.2 / ln 3: 1 and 3
    logits = stacked([[0.48, 0.48, 0.04]], [[0.2, 0.3, 0.5]])
    equal(Margin(temperature=0.2 / math.log(3)).weights(logits, context(logits)), [[1 / 4], [3 / 4]])


def test_ebkd() -> None:
    # Entropies 2 ln 2, ln 2 + 1/2 ln 3, 2 ln 2 - 1/2 ln 3, together 5 ln 2: the first has 2/5, (1 - 2/5) / 2.
    # 0.562335 + 2 * 0.693147 = 1.948629: (1 - 0.288580) / 2, (1 - 0.355710) / 2
    expected = [[3 / 10, 0.355710], [0.320752, 0.322145], [0.379248, 0.322145]]
    equal(Ebkd().weights(PROBABILITIES, context(PROBABILITIES)), expected)


def test_ebkd_where_some_or_all_are_certain() -> None:
    # Entropies 0, 0, 0: alike. 0, ln 2, ln 2: (1 - 0) / 2, (1 - 1/2) / 2
    certain, unsure = [1000.0, 0.0, -INF], [0.0, 0.0, -INF]
    logits = torch.tensor([[certain, certain], [certain, unsure], [certain, unsure]])
    equal(Ebkd().weights(logits, context(logits)), [[1 / 3, 1 / 2], [1 / 3, 1 / 4], [1 / 3, 1 / 4]])


def test_ebkd_of_two_teachers_and_of_one() -> None:
    # 0 and ln 2: 1 - 0 and 1 - 1; a single teacher: no division by K - 1 = 0
    logits = torch.tensor([[[1000.0, 0.0]], [[0.0, 0.0]]])
    equal(Ebkd().weights(logits, context(logits)), [[1], [0]])
    equal(Ebkd().weights(logits[:1], context(logits[:1])), [[1]])


def test_best_teacher() -> None:
    # p(gold) 1/4, 1/2, 3/4: the third. Gold at 1: 1/4, 1/2, 1/2: the others share it
    weights = BestTeacher().weights(PROBABILITIES, context(PROBABILITIES, gold=[0, 1]))
    equal(weights, [[0, 0], [0, 1 / 2], [1, 1 / 2]])


def test_best_teacher_among_the_certain() -> None:
    # Two are sure and right, if not alike, and share; all sure and wrong: the least wrong has it
    logits = torch.tensor([[[100.0, 0.0]] * 2, [[200.0, 0.0]] * 2, [[0.0, 100.0], [99.0, 0.0]]])
    weights = BestTeacher().weights(logits, context(logits, gold=[0, 1]))
    equal(weights, [[1 / 2, 0], [1 / 2, 0], [0, 1]])


# Two teachers are certain of one position, the third of another. The others of the first say (1/2 1/2):
#   JS((1 0), (1/2 1/2)) with the middle (3/4 1/4): (ln 4/3 + 1/2 ln 2/3 + 1/2 ln 2) / 2 = 3/4 ln 4/3
# and of the third (1 0): JS((0 1), (1 0)) = ln 2
OUTVOTED = torch.tensor([[[1000.0, 0.0, -INF]], [[500.0, 0.0, -INF]], [[0.0, 1000.0, -INF]]])


def test_agreement() -> None:
    # T = 1: (3/4)^(3/4) = 0.8059274 twice, 1/2: together 2.1118549
    weights = Agreement(temperature=1).weights(OUTVOTED, context(OUTVOTED))
    equal(weights, [[0.381621], [0.381621], [0.236759]])
    # T = 1/10: (3/4)^7.5 = 0.1156004 twice, 1/1024: together 0.2321774
    equal(Agreement().weights(OUTVOTED, context(OUTVOTED)), [[0.497897], [0.497897], [0.004206]])


def test_agreement_of_distributions_that_overlap() -> None:
    # (3/4 1/4) and the mean (1/2 1/2) of the others, middle (5/8 3/8):
    #   (3/4 ln 6/5 + 1/4 ln 2/3 + 1/2 ln 4/5 + 1/2 ln 4/3) / 2 = 0.0338221
    # (1/2 1/2) and the mean (5/8 3/8) of the others, middle (9/16 7/16):
    #   (1/2 ln 8/9 + 1/2 ln 8/7 + 5/8 ln 10/9 + 3/8 ln 6/7) / 2 = 0.0079590
    # T = 1/100: e^-3.38221 = 0.0339724, e^-0.79590 = 0.4511751 twice
    logits = PROBABILITIES[:, 1:]
    equal(Agreement(0.01).weights(logits, context(logits)), [[0.036283], [0.481859], [0.481859]])


def test_agreement_where_none_is_odd() -> None:
    # Two teachers are equally far from each other; three of one opinion
    equal(Agreement().weights(OUTVOTED[1:], context(OUTVOTED[1:])), [[1 / 2], [1 / 2]])
    alike = OUTVOTED[:1].expand(3, -1, -1)
    equal(Agreement().weights(alike, context(alike)), [[1 / 3]] * 3)


@pytest.mark.parametrize("name", ["agreement", "confidence", "impurity", "margin"])
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(name: str, temperature: float) -> None:
    with pytest.raises(ConfigError, match=rf"^weighting\.{name}: temperature = .*above 0"):
        registry.create(name, {"temperature": temperature})


def test_aggregate() -> None:
    # Eq. 3, padding last. Weights 1/4 and 3/4: 1/4 * 4 + 3/4 * 8 = 7, 1/4 * 0 + 3/4 * -4 = -3.
    # Weights 1 and 0: the first teacher's 2 and -2, though the other's are 1e30.
    logits = torch.tensor([[[4.0, 0.0, -INF], [2.0, -2.0, -INF]], [[8.0, -4.0, -INF], [1e30, -1e30, -INF]]])
    weights = torch.tensor([[1 / 4, 1], [3 / 4, 0]])
    mask = torch.tensor([[True, True, False]]).expand(2, 3)
    equal(aggregate(logits, weights, mask), [[7, -3, -INF], [2, -2, -INF]])


def test_gradient_of_aggregate_is_finite() -> None:
    # For weights that are learnt: d/dw_k of the sum over real tokens is the sum of teacher k's logits.
    logits = torch.tensor([[[4.0, 1.0, -INF]], [[8.0, -4.0, -INF]]])
    weights = torch.tensor([[1.0], [0.0]], requires_grad=True)
    aggregate(logits, weights, ~logits[0].isneginf())[:, :2].sum().backward()
    assert weights.grad is not None
    equal(weights.grad, [[5], [4]])
