import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.metrics import (
    METRICS,
    MLQA_LANGUAGES,
    Answered,
    score_answer,
    score_each,
    score_predictions,
)
from lbkd.evaluation.normalize import tokenizer

# Words that share tokens often, with what the rules delete, split and keep among them.
WORDS = [
    "a",
    "the",
    "die",
    "la",
    "ال",
    "رجال",
    "của",
    "北京",
    "cat",
    "Cat",
    "x.",
    "...",
    "«y»",
    "€",
    "\u0301",
]


ANSWERS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join) | st.text(max_size=12)


GOLD_LISTS = st.lists(ANSWERS, min_size=1, max_size=4)


RULES = [("mlqa", language) for language in MLQA_LANGUAGES] + [("squad-v1", "en"), ("squad-v2", "en")]


@settings(deadline=None)
@given(ANSWERS, GOLD_LISTS, st.sampled_from(RULES), st.randoms(use_true_random=False))
def test_scores_are_bounded_and_the_order_of_references_does_not_matter(
    prediction: str, golds: list[str], rule: tuple[str, str], random: Any
) -> None:
    score = score_answer(prediction, golds, *rule)
    assert score.exact_match in (0.0, 1.0)
    assert 0.0 <= score.f1 <= 1.0
    if score.exact_match and tokenizer(*rule)(prediction):
        assert score.f1 == 1.0
    shuffled = [*golds, golds[0]]
    random.shuffle(shuffled)
    assert score_answer(prediction, shuffled, *rule) == score
    if rule[0] != "squad-v2":  # which drops empty references only beside others
        each = [score_answer(prediction, [gold], *rule) for gold in golds]
        best = Answered(max(one.exact_match for one in each), max(one.f1 for one in each))
        assert score == best


@settings(deadline=None)
@given(ANSWERS, ANSWERS, st.sampled_from(RULES))
def test_one_reference_scores_the_same_both_ways(one: str, other: str, rule: tuple[str, str]) -> None:
    assert score_answer(one, [other], *rule) == score_answer(other, [one], *rule)


@settings(deadline=None)
@given(st.text(), st.sampled_from(RULES))
def test_tokens_hold_no_white_space_and_no_ascii_punctuation(text: str, rule: tuple[str, str]) -> None:
    for token in tokenizer(*rule)(text):
        assert token.split() == [token]
        assert not set(token) & set(".,;:!?'\"()[]{}-_$+<=>^`|~")


@settings(deadline=None)
@given(st.lists(st.tuples(GOLD_LISTS, st.none() | ANSWERS), min_size=1, max_size=8), st.sampled_from(METRICS))
def test_the_total_is_the_mean_of_the_answers(
    questions: list[tuple[list[str], str | None]], metric: str
) -> None:
    golds = {str(number): answers for number, (answers, _) in enumerate(questions)}
    predictions = {str(n): answer for n, (_, answer) in enumerate(questions) if answer is not None}
    each = score_each(golds, predictions, metric)
    assert list(each) == [name for name in golds if name in predictions or metric != "squad-v2"]
    if each:
        score = score_predictions(golds, predictions, metric)
        assert score.f1 == pytest.approx(100 * sum(one.f1 for one in each.values()) / len(each))
        assert score.exact_match == pytest.approx(
            100 * sum(one.exact_match for one in each.values()) / len(each)
        )
        assert (score.questions, score.missing) == (len(golds), len(golds) - len(predictions))


@pytest.mark.parametrize("metric", ["squad-v1", "mlqa"])
def test_decomposed_text_scores_as_composed_text(xquad: ParallelCorpus, metric: str) -> None:
    """Answers of XQuAD, and those with a neighbouring word of the passage before or after."""
    for language, data in xquad.datasets.items():
        scores = []
        for form in ("NFC", "NFD"):
            golds, predictions = {}, {}
            for n, question in enumerate(data.questions):
                words = data.passages[question.passage].split()
                word = words[n % len(words)]
                answer = question.answers[0].text
                said = (answer, f"{word} {answer}", f"{answer} {word}", word)[n % 4]
                golds[question.id] = [unicodedata.normalize(form, answer)]
                predictions[question.id] = unicodedata.normalize(form, said)
            scores.append(score_predictions(golds, predictions, metric, language))
        assert scores[0] == scores[1]
