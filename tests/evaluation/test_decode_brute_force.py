import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import pytest
from decoding import NO_TOKENS, PASSAGES, SPECIALS, Logits, all_ids, decode, random_logits, ruled

from lbkd.evaluation.decode import Answer, Decoded
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints


class Span(NamedTuple):
    minus_score: float
    begin: int
    end: int


class Expected(NamedTuple):
    spans: list[Span]
    null: float
    passage: str


def brute_force(
    features: FeatureSet, ids: Ints, logits: Logits, max_answer_tokens: int
) -> dict[int, Expected]:
    """Every span of every pair, best first, by loops over tokens."""
    windows = features.windows(ids)
    of_pair: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for n in range(len(ids)):
        key = windows.question[n], windows.passage_language[n], windows.question_language[n]
        of_pair[tuple(int(part) for part in key)].append(n)
    expected = {}
    for (question, passage_language, question_language), members in of_pair.items():
        language = features.languages[passage_language]
        table = features.passages[language]
        row = int(table.rows[question])  # question n asks about passage n
        spans, nulls = [], []
        for n in members:
            begin, stop = int(windows.start[n]), int(windows.stop[n])
            start, end = logits[int(ids[n])]
            nulls.append(float(start[0] + end[0]))
            at = SPECIALS - 1 + int(windows.question_tokens[n]) - begin
            for s in range(begin, stop):
                if answers_for(windows.start[members], windows.stop[members], s) != members.index(n):
                    continue
                for e in range(s, min(s + max_answer_tokens, stop)):
                    score = float(start[at + s] + end[at + e])
                    spans.append(Span(-score, int(table.begins[row + s]), int(table.ends[row + e])))
        number = (question * 3 + passage_language) * 3 + question_language
        expected[number] = Expected(sorted(spans), min(nulls), PASSAGES[language][question])
    return expected


def answers_for(starts: Ints, stops: Ints, token: int) -> int:
    """Which of a pair's windows answers for a token: the one with most context, the earliest at a tie."""
    best, found = -1.0, -1
    for n, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        context = min(token - start, stop - 1 - token) + 0.01 * (stop - start)
        if start <= token < stop and context > best:
            best, found = context, n
    return found


@pytest.mark.parametrize("seed", range(40))
def test_equals_brute_force(corpus_features: FeatureSet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    max_question_tokens = int(rng.integers(1, 8))
    room = int(rng.integers(3, 40))
    features = ruled(
        corpus_features, SPECIALS + max_question_tokens + room, max_question_tokens, int(rng.integers(1, 20))
    )
    ids = all_ids(features)
    logits = random_logits(features, ids, rng, coarse=bool(seed % 2))
    max_answer_tokens = int(rng.choice([1, 2, 7, 30, 100]))
    n_best = int(rng.choice([1, 3, 20]))
    impossible = bool(rng.integers(2))
    batches = np.array_split(rng.permutation(ids), int(rng.integers(1, 30)))
    found = decode(features, batches, logits, n_best, max_answer_tokens, impossible)
    expected = brute_force(features, ids, logits, max_answer_tokens)

    assert found.keys() == expected.keys()
    assert len(found) == 5 * 9
    for number, (spans, null, passage) in expected.items():
        decoded = found[number]
        if not spans:
            assert passage == NO_TOKENS
            assert decoded == Decoded([Answer("", 0, 0, 0.0)], math.inf, -math.inf if impossible else 0.0)
            continue
        assert [(answer.start, answer.end) for answer in decoded.answers] == [
            (span.begin, span.end) for span in spans[:n_best]
        ]
        total = math.fsum(math.exp(-span.minus_score) for span in spans) + impossible * math.exp(null)
        for answer, span in zip(decoded.answers, spans, strict=False):
            assert answer.text == passage[answer.start : answer.end] == answer.text.strip() != ""
            assert answer.probability == pytest.approx(math.exp(-span.minus_score) / total, rel=1e-5)
        assert decoded.no_answer == pytest.approx(null + spans[0].minus_score, abs=1e-5)
        chances = [answer.probability for answer in decoded.answers]
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) <= 1 + 1e-5


@pytest.mark.parametrize("impossible", [False, True])
def test_probabilities_of_all_spans_sum_to_one(corpus_features: FeatureSet, impossible: bool) -> None:
    features = ruled(corpus_features, 20, 4, 5)
    ids = all_ids(features)
    logits = random_logits(features, ids, np.random.default_rng(0), coarse=False)
    found = decode(features, [ids], logits, 10_000, 6, impossible)
    for number, (spans, _, _) in brute_force(features, ids, logits, 6).items():
        if spans:
            answers, no_answer = found[number].answers, found[number].no_answer
            assert len(answers) == len(spans)
            chances = sum(answer.probability for answer in answers)
            if impossible:
                chances += answers[0].probability * math.exp(no_answer)
            assert chances == pytest.approx(1, abs=1e-5)
