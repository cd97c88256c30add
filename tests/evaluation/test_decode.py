import math
from dataclasses import replace

import numpy as np
import pytest
from decoding import (
    EIGHT,
    LONG,
    PASSAGES,
    SPECIALS,
    TWO,
    all_ids,
    blank,
    decode,
    decode_one,
    pair_ids,
    position,
    random_logits,
    ruled,
)

from lbkd.evaluation.decode import Answer, Decoded, merge
from lbkd.features.dataset import FeatureSet


def test_probabilities_by_hand(corpus_features: FeatureSet) -> None:
    ids = pair_ids(corpus_features, TWO)
    logits = blank(corpus_features, ids)
    start, end = logits[int(ids[0])]
    first = position(corpus_features, int(ids[0]), 0)
    start[first + 1] = math.log(2)
    end[first] = math.log(3)
    start[0], end[0] = math.log(2), math.log(3)
    # exp(score): "two" 1 * 3, "two words" 1 * 1, "words" 2 * 1; together 6, and 2 * 3 of [CLS] make 12
    for impossible, total in (False, 6), (True, 12):
        (decoded,) = decode(corpus_features, [ids], logits, 20, 30, impossible).values()
        texts = [(answer.text, answer.start, answer.end) for answer in decoded.answers]
        assert texts == [("two", 0, 3), ("words", 4, 9), ("two words", 0, 9)]
        chances = [answer.probability for answer in decoded.answers]
        assert chances == pytest.approx([3 / total, 2 / total, 1 / total], abs=1e-6)
        assert decoded.no_answer == pytest.approx(math.log(6 / 3), abs=1e-6)


def test_probabilities_at_a_temperature_by_hand(corpus_features: FeatureSet) -> None:
    """Of scores twice as great at a temperature of 2, the same probabilities; the answers never change."""
    ids = pair_ids(corpus_features, TWO)
    logits = random_logits(corpus_features, ids, np.random.default_rng(1), coarse=False)
    twice = {feature: (2 * start, 2 * end) for feature, (start, end) in logits.items()}
    for impossible in (False, True):
        (usual,) = decode(corpus_features, [ids], logits, 20, 30, impossible).values()
        (found,) = decode(corpus_features, [ids], twice, 20, 30, impossible, 2.0).values()
        (flat,) = decode(corpus_features, [ids], logits, 20, 30, impossible, 1e6).values()
        assert [answer[:3] for answer in found.answers] == [answer[:3] for answer in usual.answers]
        assert [answer[:3] for answer in flat.answers] == [answer[:3] for answer in usual.answers]
        chances = [answer.probability for answer in found.answers]
        assert chances == pytest.approx([answer.probability for answer in usual.answers], rel=1e-5)
        spans = len(flat.answers) + impossible
        assert [answer.probability for answer in flat.answers] == pytest.approx([1 / spans] * 3, rel=1e-3)
        assert found.no_answer == pytest.approx(2 * usual.no_answer)


def test_a_probability_is_at_most_one_whatever_the_logits(corpus_features: FeatureSet) -> None:
    """The likeliest end by far cannot be reached: in float64, what can be is nothing beside it."""
    ids = pair_ids(corpus_features, EIGHT)
    logits = blank(corpus_features, ids)
    start, end = logits[int(ids[0])]
    first = position(corpus_features, int(ids[0]), 0)
    start[first], end[first] = -1600, 800
    found = decode_one(corpus_features, ids, logits, 3, 2)
    assert all(0 < answer.probability <= 1 for answer in found.answers)


def test_no_answer_is_that_of_the_window_that_doubts_it_most(corpus_features: FeatureSet) -> None:
    features = ruled(corpus_features, 20, 4, 5)
    ids = pair_ids(features, LONG)
    logits = blank(features, ids)
    for n, feature in enumerate(ids):
        logits[int(feature)][0][0] = [3, -2, 5][n % 3]
    assert len(ids) > 3
    assert decode_one(features, ids, logits, 1, 5).no_answer == -2


def test_batches_and_order_change_nothing(corpus_features: FeatureSet) -> None:
    features = ruled(corpus_features, 24, 5, 7)
    ids = all_ids(features)
    rng = np.random.default_rng(3)
    logits = random_logits(features, ids, rng, coarse=True)
    whole = decode(features, [ids], logits, 8, 6)
    orders = [[ids[n : n + 1] for n in range(len(ids))], [ids[::-1]]]
    orders += [np.array_split(rng.permutation(ids), parts) for parts in (2, 9, 50)]
    for batches in orders:
        other = decode(features, batches, logits, 8, 6)
        assert other.keys() == whole.keys()
        for number, decoded in whole.items():
            assert other[number].no_answer == decoded.no_answer
            assert [a[:3] for a in other[number].answers] == [a[:3] for a in decoded.answers]
            assert [a.probability for a in other[number].answers] == pytest.approx(
                [a.probability for a in decoded.answers], rel=1e-5
            )


def test_a_batch_of_empty_passages(corpus_features: FeatureSet) -> None:
    ids = pair_ids(corpus_features, 0)
    (found,) = decode(corpus_features, [ids], blank(corpus_features, ids), 20, 30, True).values()
    assert found == Decoded([Answer("", 0, 0, 0.0)], math.inf, -math.inf)


def test_nothing_to_decode(corpus_features: FeatureSet) -> None:
    assert merge([], {}, 5) == {}
    assert decode(corpus_features, [all_ids(corpus_features)[:0]], {}, 5, 5) == {}


def test_never_in_the_question_or_special_tokens(corpus_features: FeatureSet) -> None:
    ids = pair_ids(corpus_features, EIGHT)
    logits = blank(corpus_features, ids, fill=100)
    for half in logits[int(ids[0])]:
        first = position(corpus_features, int(ids[0]), 0)
        half[first : first + 8] = [-5.5, -4, -9, -9, -9, -9, -4.5, -8]
    decoded = decode_one(corpus_features, ids, logits, 100, 8)
    assert [answer.text for answer in decoded.answers[:3]] == ["b", "b c d e f g", "g"]  # -8, -8.5, -9
    assert len(decoded.answers) == 8 * 9 // 2
    assert sum(answer.probability for answer in decoded.answers) == pytest.approx(1, abs=1e-5)


def test_ties_go_to_the_earlier_then_the_shorter_span(corpus_features: FeatureSet) -> None:
    ids = pair_ids(corpus_features, EIGHT)
    decoded = decode_one(corpus_features, ids, blank(corpus_features, ids), 7, 3)
    assert [answer.text for answer in decoded.answers] == ["a", "a b", "a b c", "b", "b c", "b c d", "c"]
    assert [answer.probability for answer in decoded.answers] == pytest.approx([1 / 21] * 7)  # 6 * 3 + 2 + 1


def test_ties_between_windows(corpus_features: FeatureSet) -> None:
    features = ruled(corpus_features, 20, 4, 5)
    ids = pair_ids(features, LONG)
    table = features.passages["en"]
    row = int(table.rows[LONG])
    wanted = [(int(table.begins[row + n]), int(table.ends[row + n])) for n in range(40)]
    for order in ids, ids[::-1]:
        decoded = decode_one(features, order, blank(features, ids), 40, 1)
        assert [(answer.start, answer.end) for answer in decoded.answers] == wanted


@pytest.mark.parametrize(
    ("max_answer_tokens", "text"), [(1, "h"), (3, "f g h"), (6, "c d e f g h"), (7, "b c d e f g h")]
)
def test_longest_answer(corpus_features: FeatureSet, max_answer_tokens: int, text: str) -> None:
    ids = pair_ids(corpus_features, EIGHT)
    logits = blank(corpus_features, ids)
    first = position(corpus_features, int(ids[0]), 0)
    start, end = logits[int(ids[0])]
    start[first : first + 8] = [0, 10, 9, 8, 7, 6, 5, 4]
    end[first + 7] = 20
    decoded = decode_one(corpus_features, ids, logits, 100, max_answer_tokens)
    assert decoded.answers[0].text == text
    assert max(len(answer.text.split()) for answer in decoded.answers) == max_answer_tokens


def test_an_answer_in_the_overlap_is_counted_once(corpus_features: FeatureSet) -> None:
    features = ruled(corpus_features, SPECIALS + 4 + 20, 4, 12)
    ids = pair_ids(features, LONG)
    windows = features.windows(ids)
    first, last = 17, 19
    holds = [int(ids[n]) for n in range(len(ids)) if windows.start[n] <= first and last < windows.stop[n]]
    assert len(holds) == 2
    logits = blank(features, ids)
    for feature in holds:
        logits[feature][0][position(features, feature, first)] = 20
        logits[feature][1][position(features, feature, last)] = 20
    decoded = decode_one(features, ids, logits, 50, 5)
    table = features.passages["en"]
    row = int(table.rows[LONG])
    best = decoded.answers[0]
    assert (best.start, best.end) == (table.begins[row + first], table.ends[row + last])
    assert best.text == PASSAGES["en"][LONG][best.start : best.end]
    assert best.probability == pytest.approx(1, abs=1e-6)  # twice would make it a half
    places = [(answer.start, answer.end) for answer in decoded.answers]
    assert len(set(places)) == len(places) == 50


def test_white_space_around_a_span_is_left_out(corpus_features: FeatureSet) -> None:
    # A tokenizer whose tokens take in the space before them: every token but the first begins one earlier.
    ids = pair_ids(corpus_features, EIGHT)
    table = corpus_features.passages["en"]
    begins = np.where(table.begins > 0, table.begins - 1, 0)
    passages = {**corpus_features.passages, "en": replace(table, begins=begins)}
    logits = blank(corpus_features, ids)
    logits[int(ids[0])][0][position(corpus_features, int(ids[0]), 3)] = 9
    decoded = decode_one(replace(corpus_features, passages=passages), ids, logits, 2, 2)
    assert [answer[:3] for answer in decoded.answers] == [("d", 6, 7), ("d e", 6, 9)]
