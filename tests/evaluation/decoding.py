"""Passages and logits for tests of the decoder."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from lbkd.evaluation.decode import Decoded, candidates, merge
from lbkd.evaluation.device_spans import packed_spans, unpacked
from lbkd.evaluation.spans import Logits as BothLogits
from lbkd.evaluation.spans import Spans, best_spans, places
from lbkd.features.collate import collated
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.features.windows import WindowRule
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
    temperature: float = 1.0,
) -> dict[int, Decoded]:
    """What both searches for spans lead to, by arrays and by tensors."""
    found, passages = [], {}
    for ids in batches:
        batch = collated(features, ids)
        start = np.full(batch.input_ids.shape, -np.inf, np.float32)
        end = start.copy()
        for n, feature in enumerate(ids):
            length = len(logits[int(feature)][0])
            start[n, :length], end[n, :length] = logits[int(feature)]
        allowed = places(features, batch.windows, batch.passage_at)
        how = n_best, max_answer_tokens, temperature
        best = best_spans(BothLogits(start, end), allowed, *how)
        tensors = SpanLogits(torch.from_numpy(start), torch.from_numpy(end))
        assert_same(best, unpacked(packed_spans(tensors, allowed, *how)))
        found.append(candidates(best, batch.windows, features))
        for n, pair in enumerate(found[-1].pair):
            passages[int(pair)] = features.passage_text(batch.windows, n)
    return merge(found, passages, n_best, impossible, temperature)


def assert_same(mine: Spans, theirs: Spans) -> None:
    """Scores and the places of spans are equal; masses up to the rounding of a sum."""
    real = np.isfinite(mine.score)
    for name in ("score", "null"):
        assert np.array_equal(getattr(mine, name), getattr(theirs, name))
    for name in ("first", "last"):
        assert np.array_equal(getattr(mine, name)[real], getattr(theirs, name)[real])
    assert np.allclose(mine.mass, theirs.mass, rtol=3e-7, atol=1e-6)
    assert mine.mass.dtype == theirs.mass.dtype == mine.score.dtype == theirs.score.dtype == np.float32


def decode_one(
    features: FeatureSet, ids: Ints, logits: Logits, n_best: int, max_answer_tokens: int
) -> Decoded:
    (decoded,) = decode(features, [ids], logits, n_best, max_answer_tokens).values()
    return decoded
