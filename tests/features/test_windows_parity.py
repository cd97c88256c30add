"""Windows, offsets and labels, id for id against the truncation of Hugging Face's own fast tokenizers.

Offsets may have characters that no token of the reference has, and labels may then end earlier, or be where
the reference has none (`test_labels.py` tells which are right).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tokenizers import Encoding, Tokenizer
from transformers import PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.features.batches import collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, tokenizer_hash
from lbkd.features.windows import WindowSettings

USUAL = (384, 64, 128)
NARROW = (96, 12, 24)
"""Many windows, and most questions are cut."""


class Row(NamedTuple):
    """A window as a model sees it, unpadded."""

    ids: list[int]
    mask: list[int]
    types: list[int]
    passage_at: int
    offsets: list[tuple[int, int]]
    """Of the passage's tokens."""
    start: int
    end: int


class Reference:
    """What run_qa does with a pair; the question is cut beforehand, and `step` stands in for its overlap."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, max_length: int, max_question_tokens: int, step: int
    ) -> None:
        self.backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.max_length, self.max_question_tokens, self.step = max_length, max_question_tokens, step
        self.specials = self.backend.num_special_tokens_to_add(is_pair=True)
        self.encode: Callable[[str], Encoding] = lru_cache(4096)(self._encode)

    def _encode(self, text: str) -> Encoding:
        self.backend.no_truncation()
        return self.backend.encode(text, add_special_tokens=False)

    def rows(self, question: str, passage: str, answer: tuple[int, int]) -> list[Row]:
        """Every window; `answer` is its first character and one past its last."""
        asked, told = self._encode(question), self.encode(passage)
        asked.truncate(self.max_question_tokens)
        kept = asked.offsets
        room = self.max_length - self.specials - len(kept)
        self.backend.enable_truncation(
            self.max_length, stride=max(room - self.step, 0), strategy="only_second"
        )
        whole = self.backend.post_process(asked, told)
        passage_at = whole.sequence_ids.index(1)
        # The part of the question that was cut off comes as windows of its own: leave these out.
        windows = [w for w in (whole, *whole.overflowing) if w.offsets[1 : 1 + len(kept)] == kept]
        return [self.row(window, passage_at, whole.type_ids, answer) for window in windows]

    def row(self, window: Encoding, passage_at: int, types: list[int], answer: tuple[int, int]) -> Row:
        passage = [n for n, part in enumerate(window.sequence_ids) if part == 1]
        assert passage == list(range(passage_at, passage_at + len(passage)))
        offsets = window.offsets[passage[0] : passage[-1] + 1]
        # `post_process` forgets the segment in all windows but the first; the tokenizer's own call does not.
        types = types[:passage_at] + types[-1:] * (len(window.ids) - passage_at)
        start, end = labels(offsets, passage_at, answer)
        return Row(window.ids, window.attention_mask, types, passage_at, offsets, start, end)


def labels(offsets: Sequence[tuple[int, int]], passage_at: int, answer: tuple[int, int]) -> tuple[int, int]:
    """As run_qa labels a window, except that its search for the start may leave the passage, ours may not."""
    if answer[0] < offsets[0][0] or answer[1] > offsets[-1][1]:
        return 0, 0
    first = 0
    while first < len(offsets) and offsets[first][0] <= answer[0]:
        first += 1
    last = len(offsets) - 1
    while last >= 0 and offsets[last][1] >= answer[1]:
        last -= 1
    return passage_at + first - 1, passage_at + last + 1


@pytest.fixture(params=["e5", "wordpiece"], scope="module")
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    found: PreTrainedTokenizerFast = request.getfixturevalue(f"{request.param}_tokenizer")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


Build = Callable[[tuple[int, int, int]], FeatureSet]


@pytest.fixture
def build(tokenizer: PreTrainedTokenizerFast, xquad: ParallelCorpus, folder: Path) -> Build:
    def build(settings: tuple[int, int, int]) -> FeatureSet:
        return FeatureSet.build(
            xquad, tokenizer, tokenizer_hash(tokenizer), folder, WindowSettings(*settings)
        )

    return build


def compare(
    features: FeatureSet, tokenizer: PreTrainedTokenizerFast, settings: tuple[int, int, int], ids: Ints
) -> dict[str, int]:
    """Compare the windows `ids`, all those of some pairs, one by one; how many there were, of what kind."""
    reference = Reference(tokenizer, *settings)
    seen = {"windows": 0, "answered": 0, "cut questions": 0}
    expected: list[Row] = []
    for at in range(0, len(ids), 512):
        batch = collate(features, ids[at : at + 512])
        windows = batch.windows
        for n, (begins, ends) in enumerate(features.offsets(windows)):
            if windows.number[n] == 0:
                assert not expected, "windows are missing"
                expected = pair(features, reference, windows.feature[n])
                assert windows.count[n] == len(expected)
            length = int(windows.tokens[n]) + features.template.specials
            types = [0] * length if batch.token_types is None else batch.token_types[n, :length].tolist()
            ours = Row(
                batch.input_ids[n, :length].tolist(),
                batch.mask[n].long().tolist()[:length],
                types,
                int(batch.passage_at[n]),
                list(zip(begins.tolist(), ends.tolist(), strict=True)),
                int(batch.starts[n]),
                int(batch.ends[n]),
            )
            assert not batch.mask[n, length:].any()
            theirs = expected.pop(0)
            assert only_fills_holes(features.passage_text(windows, n), ours.offsets, theirs.offsets)
            assert ours.start == theirs.start or theirs.start == 0
            assert ours.end == theirs.end or theirs.end == 0 or ours.offsets != theirs.offsets
            assert ours.end <= theirs.end or theirs.end == 0
            assert ours == theirs._replace(offsets=ours.offsets, start=ours.start, end=ours.end)
            seen["windows"] += 1
            seen["answered"] += ours.start > 0
            seen["cut questions"] += int(windows.question_tokens[n]) == features.rule.max_question_tokens
    assert not expected, "windows are missing"
    return seen


def only_fills_holes(text: str, ours: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> bool:
    """Whether offsets differ in nothing but characters that no token of the reference has."""
    covered = {place for told in theirs for place in range(*told)}
    added = {
        place
        for mine, told in zip(ours, theirs, strict=True)
        for place in set(range(*mine)) - set(range(*told))
    }
    kept = all(mine[0] <= told[0] and told[1] <= mine[1] for mine, told in zip(ours, theirs, strict=True))
    return kept and not any(place in covered for place in added)


def pair(features: FeatureSet, reference: Reference, feature: int) -> list[Row]:
    """The reference's windows of the pair that a feature belongs to."""
    number, size = int(feature) >> 16, len(features.languages)
    column, k, j = number // size**2, number // size % size, number % size
    corpus = features.corpus
    mine, theirs = (corpus.datasets[features.languages[n]] for n in (k, j))
    asked = theirs.questions[corpus.rows[features.languages[j]][column]]
    told = mine.questions[corpus.rows[features.languages[k]][column]]
    answer = told.answers[0]
    where = answer.start, answer.start + len(answer.text)
    return reference.rows(asked.text, mine.passages[told.passage], where)


def of_questions(ids: Ints, size: int, every: int) -> Ints:
    """The windows of every n-th question."""
    return ids[(ids >> 16) // size**2 % every == 0]


def same_language(features: FeatureSet) -> Ints:
    return features.features([(language, language) for language in features.languages])


@pytest.mark.parametrize("settings", [USUAL, NARROW], ids=["usual", "narrow"])
def test_a_part_of_the_pairs_of_one_language(
    build: Build, tokenizer: PreTrainedTokenizerFast, settings: tuple[int, int, int]
) -> None:
    features = build(settings)
    seen = compare(features, tokenizer, settings, of_questions(same_language(features), 6, 7))
    assert seen["windows"] >= 6 * 170
    assert seen["answered"] >= 6 * 170
    assert (seen["cut questions"] > 200) == (settings is NARROW)


@pytest.mark.parametrize("settings", [USUAL, NARROW, (40, 30, 3), (80, 20, 500)])
def test_a_sample_of_all_pairs(
    build: Build, tokenizer: PreTrainedTokenizerFast, settings: tuple[int, int, int]
) -> None:
    features = build(settings)
    ids = features.features([(k, j) for k in features.languages for j in features.languages])
    cells = np.random.default_rng(1).choice(np.unique(ids >> 16), 100, replace=False)
    assert compare(features, tokenizer, settings, ids[np.isin(ids >> 16, cells)])["windows"] >= 100


def test_the_tokenizers_own_call(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    """Where no question is cut, `tokenizer(question, passage, ...)` itself gives the same windows."""
    features = build((128, 80, 32))
    ids = of_questions(same_language(features), 6, 119)
    first = ids[ids & 0xFFFF == 0]
    for feature in first:
        number = int(feature) >> 16
        column, k = number // 36, number // 6 % 6
        dataset = features.corpus.datasets[features.languages[k]]
        question = dataset.questions[features.corpus.rows[features.languages[k]][column]]
        asked = len(tokenizer(question.text, add_special_tokens=False).input_ids)
        room = 128 - features.template.specials - asked
        theirs = tokenizer(
            question.text,
            dataset.passages[question.passage],
            truncation="only_second",
            max_length=128,
            stride=max(room - 32, 0),
            return_overflowing_tokens=True,
        )
        mine = ids[ids >> 16 == number]
        batch = collate(features, mine)
        ours = [row[mask].tolist() for row, mask in zip(batch.input_ids, batch.mask, strict=True)]
        assert ours == theirs["input_ids"]
        if batch.token_types is not None:
            ours = [row[mask].tolist() for row, mask in zip(batch.token_types, batch.mask, strict=True)]
            assert ours == theirs["token_type_ids"]
