"""What holds for every registered weighting, whoever provides it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_weighting import INF, LANGUAGES, PROBABILITIES, context
from torch import Tensor

from lbkd.weighting import TeacherContext, Weighting, aggregate, registry

every = pytest.mark.parametrize("name", registry.names())


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, TeacherContext]:
    """Up to 4 teachers' logits, flat to extremely peaked, of up to 4 windows padded to up to 7 tokens."""
    k, b, width = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 7))
    lengths = [draw(st.integers(1, width)) for _ in range(b)]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([0.1, 1.0, 10.0, 1000.0]))
    logits = scale * torch.randn(k, b, width, generator=generator)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    languages = st.sampled_from(LANGUAGES)
    return logits.masked_fill(~mask, -INF), TeacherContext(
        teachers=tuple(draw(languages) for _ in range(k)),
        passage_languages=tuple(draw(languages) for _ in range(b)),
        question_languages=tuple(draw(languages) for _ in range(b)),
        gold=torch.tensor([draw(st.integers(0, length - 1)) for length in lengths]),
        mask=mask,
    )


def weighting(name: str) -> Weighting:
    """With its defaults."""
    return registry.create(name)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@every
@settings(max_examples=30, deadline=None)
@given(batch=batches())
def test_weights_are_a_distribution_over_the_teachers(
    name: str, batch: tuple[Tensor, TeacherContext]
) -> None:
    logits, known = batch
    weights = weighting(name).weights(logits, known)
    assert weights.shape == logits.shape[:2]
    assert weights.dtype == torch.float32
    assert (weights >= 0).all()
    close(weights.sum(0), torch.ones(logits.shape[1]))
    summed = aggregate(logits, weights, known.mask)
    assert not summed.isnan().any()
    assert torch.equal(summed.isneginf(), ~known.mask)


@every
@settings(max_examples=20, deadline=None)
@given(batch=batches(), data=st.data())
def test_permuted_teachers_permute_the_weights(
    name: str, batch: tuple[Tensor, TeacherContext], data: st.DataObject
) -> None:
    logits, known = batch
    order = data.draw(st.permutations(range(len(logits))))
    permuted = TeacherContext(**{**vars(known), "teachers": tuple(known.teachers[k] for k in order)})
    chosen = weighting(name)
    close(chosen.weights(logits[order], permuted), chosen.weights(logits, known)[order])


@every
@settings(max_examples=20, deadline=None)
@given(batch=batches(), columns=st.integers(1, 9))
def test_padding_changes_nothing(name: str, batch: tuple[Tensor, TeacherContext], columns: int) -> None:
    logits, known = batch
    padded = torch.nn.functional.pad(logits, (0, columns), value=-INF)
    wider = TeacherContext(**{**vars(known), "mask": torch.nn.functional.pad(known.mask, (0, columns))})
    chosen = weighting(name)
    close(chosen.weights(padded, wider), chosen.weights(logits, known))


@every
@settings(max_examples=20, deadline=None)
@given(batch=batches())
def test_an_example_alone_has_the_weights_it_has_in_a_batch(
    name: str, batch: tuple[Tensor, TeacherContext]
) -> None:
    logits, known = batch
    chosen = weighting(name)
    together = chosen.weights(logits, known)
    for n in range(logits.shape[1]):
        alone = TeacherContext(
            known.teachers,
            known.passage_languages[n : n + 1],
            known.question_languages[n : n + 1],
            known.gold[n : n + 1],
            known.mask[n : n + 1],
        )
        close(chosen.weights(logits[:, n : n + 1], alone), together[:, n : n + 1])


@every
@settings(max_examples=20, deadline=None)
@given(batch=batches())
def test_a_single_teacher_weighs_1(name: str, batch: tuple[Tensor, TeacherContext]) -> None:
    logits, known = batch
    only = TeacherContext(**{**vars(known), "teachers": known.teachers[:1]})
    close(weighting(name).weights(logits[:1], only), torch.ones(1, logits.shape[1]))


@every
def test_nothing_need_be_fitted(name: str) -> None:
    """Without a fit, or with one on nothing, a weighting gives the same weights."""
    chosen = weighting(name)
    before = chosen.weights(PROBABILITIES, context(PROBABILITIES))
    chosen.fit([])
    assert torch.equal(chosen.weights(PROBABILITIES, context(PROBABILITIES)), before)


@every
def test_float32_is_enough(name: str) -> None:
    """Over a long window of nearly equal logits the weights are what float64 gives."""
    logits = torch.randn(3, 2, 384, generator=torch.Generator().manual_seed(7)) / 100
    known = context(logits, gold=[3, 300], passages=["es", "de"])
    chosen = weighting(name)
    close(chosen.weights(logits, known).double(), chosen.weights(logits.double(), known).double())
