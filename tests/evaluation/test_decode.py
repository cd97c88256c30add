import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset, Question
from lbkd.evaluation.decode import Answer, BestSpans, Decoded, best_spans, candidates, merge
from lbkd.features.batches import collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, tokenizer_hash
from lbkd.features.windows import WindowRule, WindowSettings
from lbkd.models.span import SpanLogits

Row = npt.NDArray[np.float32]
Logits = dict[int, tuple[Row, Row]]
"""Feature id -> start and end logits of its real tokens."""

SPECIALS = 3  # [CLS] question [SEP] passage [SEP]
LANGUAGES = ("en", "ar", "zz")
NO_TOKENS = "\u200b \u200b"
TWO, EIGHT, LONG = 1, 2, 3
"""Passages of "en": of two words, of eight, and one of several windows."""


def prose(words: int, seed: int) -> str:
    """Words one space or more apart, some ending in punctuation, some beyond ASCII, spaces at both ends."""
    rng = np.random.default_rng(seed)
    stems = ["ab", "Straße", "مدرسة", "𝔘ni", "e\u0301t", "x", "हिन्दी"]
    picked = [stems[n] + ("." if n % 3 == 0 else "") for n in rng.integers(0, len(stems), words)]
    return "  " + "".join(word + " " * int(rng.integers(1, 4)) for word in picked)


PASSAGES = {
    "en": (NO_TOKENS, "two words", "a b c d e f g h", prose(44, 1), prose(9, 2)),
    "ar": (prose(1, 3), prose(26, 4), prose(12, 5), prose(31, 6), NO_TOKENS),
    "zz": (prose(17, 7), prose(5, 8), prose(20, 9), prose(3, 10), prose(60, 11)),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing by threads, and lose much where other programs compute, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def corpus_features(tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}, "[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    datasets = {}
    for language, passages in PASSAGES.items():
        questions = tuple(
            Question(str(n), "why " * (n + LANGUAGES.index(language)) + "?", n, ())
            for n in range(len(passages))
        )
        zeros = (0,) * len(passages)
        datasets[language] = Dataset(Path(language), language, passages, zeros, ("",), questions)
    corpus = ParallelCorpus(datasets, "en", tuple(str(n) for n in range(5)))
    folder = tmp_path_factory.mktemp("tokens")
    return FeatureSet.build(
        corpus,
        fast,
        tokenizer_hash(fast),
        folder,
        WindowSettings(max_length=32, max_question_tokens=4, step=10),
    )


def ruled(features: FeatureSet, max_length: int, max_question_tokens: int, step: int) -> FeatureSet:
    return replace(features, rule=WindowRule(max_length, max_question_tokens, step, SPECIALS))


def all_ids(features: FeatureSet) -> Ints:
    return features.features([(passage, question) for passage in LANGUAGES for question in LANGUAGES])


def pair_ids(features: FeatureSet, question: int, passage_language: str = "en") -> Ints:
    """The windows of one pair, in their order."""
    ids = features.features([(passage_language, "en")])
    return ids[features.windows(ids).question == question]


def random_logits(features: FeatureSet, ids: Ints, rng: np.random.Generator, *, coarse: bool) -> Logits:
    """Normal ones, or whole numbers (many ties); the question and [SEP] are the likeliest of all tokens."""
    windows = features.windows(ids)
    found = {}
    for n, feature in enumerate(ids):
        length = int(windows.tokens[n]) + SPECIALS
        both = rng.normal(0, 3, (2, length)).astype(np.float32)
        if coarse:
            both = np.round(both / 2)
        both[:, 1 : 2 + int(windows.question_tokens[n])] = 50
        both[:, -1] = 50
        found[int(feature)] = both[0], both[1]
    return found


def blank(features: FeatureSet, ids: Ints, fill: float = 0.0) -> Logits:
    lengths = features.lengths(ids)
    return {
        int(feature): (np.full(length, fill, np.float32), np.full(length, fill, np.float32))
        for feature, length in zip(ids, lengths, strict=True)
    }


def position(features: FeatureSet, feature: int, token: int) -> int:
    """Where a passage token stands in a window."""
    windows = features.windows(np.array([feature]))
    return SPECIALS - 1 + int(windows.question_tokens[0]) + token - int(windows.start[0])


def decode(
    features: FeatureSet,
    batches: Sequence[Ints],
    logits: Logits,
    n_best: int,
    max_answer_tokens: int,
    impossible: bool = False,
) -> dict[int, Decoded]:
    found, passages = [], {}
    for ids in batches:
        batch = collate(features, ids)
        start = torch.full(batch.input_ids.shape, -torch.inf)
        end = start.clone()
        for n, feature in enumerate(ids):
            length = len(logits[int(feature)][0])
            start[n, :length] = torch.from_numpy(logits[int(feature)][0])
            end[n, :length] = torch.from_numpy(logits[int(feature)][1])
        best = best_spans(SpanLogits(start, end), batch, features, n_best, max_answer_tokens)
        found.append(candidates(BestSpans.unpacked(best.packed()), batch, features))
        for n, pair in enumerate(found[-1].pair):
            passages[int(pair)] = features.passage_text(batch.windows, n)
    return merge(found, passages, n_best, impossible)


def decode_one(
    features: FeatureSet, ids: Ints, logits: Logits, n_best: int, max_answer_tokens: int
) -> Decoded:
    (decoded,) = decode(features, [ids], logits, n_best, max_answer_tokens).values()
    return decoded


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
            assert decoded == Decoded([Answer("", 0, 0, 0.0)], math.inf)
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
    assert found == Decoded([Answer("", 0, 0, 0.0)], math.inf)


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
