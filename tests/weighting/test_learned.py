import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import pytest
import torch
from test_weighting import INF, PROBABILITIES, equal
from torch import Tensor

from lbkd.errors import ConfigError
from lbkd.testing import context
from lbkd.weighting import TeacherContext, Weighting, aggregate
from lbkd.weighting.agreement import Agreement
from lbkd.weighting.confidence import Confidence
from lbkd.weighting.impurity import Impurity
from lbkd.weighting.language_match import LanguageMatch
from lbkd.weighting.learned import Learned
from lbkd.weighting.margin import Margin
from lbkd.weighting.max_probability import MaxProbability

Example = tuple[Tensor, TeacherContext]
TEACHERS = ("en", "es", "de")


def gate(*theta: float) -> Learned:
    """One that has learned theta."""
    learned = Learned()
    learned.theta = torch.tensor(theta, dtype=torch.float64)
    return learned


def experts(seed: int, size: int = 32) -> Example:
    """A teacher finds the answer in its own language's passages only, and is as sure elsewhere.

    Windows of 12 to 20 tokens; the logits are noise but for one position, at 6.
    """
    draw = torch.Generator().manual_seed(seed)
    passages, questions = (
        tuple(TEACHERS[n] for n in torch.randint(3, (size,), generator=draw)) for _ in range(2)
    )
    mask = torch.arange(20) < torch.randint(12, 21, (size, 1), generator=draw)
    gold = torch.randint(12, (size,), generator=draw)
    guess = torch.randint(12, (3, size), generator=draw)
    own = torch.tensor([[teacher == passage for passage in passages] for teacher in TEACHERS])
    logits = torch.randn(3, size, 20, generator=draw) / 2
    logits.scatter_(-1, torch.where(own, gold, guess)[..., None], 6.0)
    return logits.masked_fill(~mask, -INF), TeacherContext(TEACHERS, passages, questions, gold, mask)


def cut(example: Example, sizes: Sequence[int]) -> Iterator[Example]:
    """The same windows in several batches."""
    logits, known = example
    at = 0
    for size in sizes:
        part = slice(at, at + size)
        yield (
            logits[:, part],
            TeacherContext(
                known.teachers,
                known.passage_languages[part],
                known.question_languages[part],
                known.gold[part],
                known.mask[part],
            ),
        )
        at += size


def nll(weighting: Weighting, example: Example) -> float:
    """Mean NLL in nats of Eq. 3's logits at the gold positions."""
    logits, known = example
    summed = aggregate(logits, weighting.weights(logits, known), known.mask)
    return -float(summed.log_softmax(-1)[torch.arange(len(known.gold)), known.gold].mean())


@pytest.mark.parametrize(
    ("theta", "other"),
    [
        ((1.0, 0, 0, 0, 0, 0), Confidence()),
        ((-0.5, 0, 0, 0, 0, 0), Impurity(temperature=2)),
        ((0, 1.0, 0, 0, 0, 0), MaxProbability()),
        ((0, 0, 10.0, 0, 0, 0), Margin()),
        ((0, 0, 0, 10.0, 0, 0), Agreement()),
        ((0, 0, 0, 0, 50.0, 0), LanguageMatch()),
    ],
)
def test_one_statistic_alone_is_a_weighting_of_its_own(theta: tuple[float, ...], other: Weighting) -> None:
    known = context(PROBABILITIES, passages=["es", "fr"])
    torch.testing.assert_close(
        gate(*theta).weights(PROBABILITIES, known), other.weights(PROBABILITIES, known)
    )


def test_statistics_add_up() -> None:
    # ln 3 for the language of the passage, ln 2 for that of the question.
    # (en, es): 3 to 2 to 1; (es, es): 1 to 6 to 1
    known = context(PROBABILITIES, passages=["en", "es"], questions=["es", "es"])
    weights = gate(0, 0, 0, 0, math.log(3), math.log(2)).weights(PROBABILITIES, known)
    equal(weights, [[3 / 6, 1 / 8], [2 / 6, 6 / 8], [1 / 6, 1 / 8]])


def test_unfitted_all_weigh_the_same() -> None:
    equal(Learned().weights(PROBABILITIES, context(PROBABILITIES, passages=["es", "de"])), [[1 / 3] * 2] * 3)


def test_fit_by_hand() -> None:
    # Logits (2 ln 3, 0) and (0, 2 ln 3), gold at 0, passage in the first one's language: only the fifth
    # statistic tells the teachers apart. With w = 1 / (1 + e^-theta) the summed logits differ by
    # 2 ln 3 (2w - 1); the loss ln(1 + 9^(1 - 2w)) + l2 theta^2 has the derivative
    # -4 ln 3 w (1 - w) / (1 + 9^(2w - 1)) + 2 l2 theta. At theta = ln 3, w = 3/4:
    # -4 ln 3 * 3/16 * 1/4 + 2 l2 ln 3, which is 0 for l2 = 3/32.
    high = 2 * math.log(3)
    logits = torch.tensor([[[high, 0.0, -INF]], [[0.0, high, -INF]]])
    known = context(logits, questions=["fr"])
    chosen = Learned(l2=3 / 32)
    told = chosen.fit([(logits, known)])
    assert chosen.theta.tolist() == pytest.approx([0, 0, 0, 0, math.log(3), 0], abs=1e-4)
    equal_weights, fitted = told.pop("NLL at equal weights"), told.pop("NLL")
    assert told == dict(zip(told, chosen.theta.tolist(), strict=True))
    assert told["own passage language"] == pytest.approx(math.log(3), abs=1e-4)
    assert equal_weights == pytest.approx(math.log(2))
    assert fitted == pytest.approx(math.log(4 / 3), abs=1e-4)  # 1 + 9^(-1/2)
    torch.testing.assert_close(
        chosen.weights(logits, known), torch.tensor([[3 / 4], [1 / 4]]), atol=1e-4, rtol=0
    )


def test_experts_are_found_out() -> None:
    chosen = Learned()
    chosen.fit([experts(seed) for seed in range(8)])
    unseen = experts(99)
    assert nll(chosen, unseen) < 0.5 * nll(Learned(), unseen)
    weights = chosen.weights(*unseen)
    matching = LanguageMatch().weights(*unseen) == 1
    assert float(weights[matching].min()) > 0.8
    assert chosen.theta[4] > 10 * chosen.theta[5].abs()  # the passage's language, not the question's


def test_the_gold_position_is_not_looked_at_afterwards() -> None:
    chosen = Learned()
    chosen.fit([experts(0)])
    logits, known = experts(1)
    other = dataclasses.replace(known, gold=(known.gold + 1) % 12)
    assert torch.equal(chosen.weights(logits, known), chosen.weights(logits, other))


def test_permuted_teachers_permute_the_fitted_weights() -> None:
    order = [2, 0, 1]

    def permuted(example: Example) -> Example:
        logits, known = example
        return logits[order], dataclasses.replace(known, teachers=tuple(TEACHERS[k] for k in order))

    seen, unseen = [experts(seed) for seed in range(3)], experts(9)
    one, other = Learned(), Learned()
    one.fit(seen)
    other.fit(permuted(example) for example in seen)
    weights = one.weights(*unseen)[order]
    torch.testing.assert_close(one.weights(*permuted(unseen)), weights)
    torch.testing.assert_close(other.weights(*permuted(unseen)), weights, atol=1e-4, rtol=0)


def test_a_fit_is_repeatable_and_starts_anew() -> None:
    one, again = Learned(), Learned()
    again.fit([experts(5)])
    assert one.fit([experts(0), experts(1)]) == again.fit([experts(0), experts(1)])
    assert torch.equal(one.theta, again.theta)


def test_how_the_windows_are_cut_into_batches_does_not_matter() -> None:
    whole, parts = Learned(), Learned()
    whole.fit([experts(0)])
    parts.fit(cut(experts(0), [1, 20, 11]))
    torch.testing.assert_close(parts.theta, whole.theta, atol=1e-4, rtol=0)


def test_no_more_windows_are_read_than_asked_for() -> None:
    # A window comes twice, with its start and with its end logits: 70 are three batches of 32, six halves
    for windows, halves in ((1, 2), (32, 2), (33, 4), (70, 6)):
        examples = (experts(seed) for seed in itertools.count())
        Learned(windows=windows).fit(examples)
        torch.testing.assert_close(next(examples)[0], experts(halves)[0])


def test_fit_of_a_single_teacher_and_of_nothing() -> None:
    logits, known = experts(0)
    for examples in ([(logits[:1], dataclasses.replace(known, teachers=("en",)))], []):
        chosen = Learned()
        chosen.fit(examples)
        assert not chosen.theta.any()


def test_teachers_that_are_certain_and_wrong_give_no_odd_numbers() -> None:
    logits = torch.tensor([[[1000.0, 0.0, -INF]], [[0.0, 1000.0, -INF]], [[0.0, 0.0, -INF]]])
    chosen = Learned()
    told = chosen.fit([(logits, context(logits, gold=[1], passages=["es"]))])
    assert all(math.isfinite(value) for value in told.values())
    assert told["NLL"] < told["NLL at equal weights"]


@pytest.mark.parametrize("options", [{"windows": 0}, {"l2": 0.0}, {"l2": float("nan")}])
def test_options_must_be_positive(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"^windows = .* and l2 = .* above 0"):
        Learned(**options)  # type: ignore[arg-type]
