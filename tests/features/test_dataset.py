from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError
from lbkd.features.batches import collate
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.windows import WindowRule

if TYPE_CHECKING:
    from lbkd.features.tokens import Ints
from letters import LETTERS, build, dataset


@pytest.fixture
def features(corpus: ParallelCorpus, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> FeatureSet:
    """Beside a question of 2 tokens there is room for 7 passage tokens, beside 4 or more for 5."""
    return build(corpus, tokenizer, tmp_path, 12, 4, 3)


def every_pair(corpus: ParallelCorpus) -> list[LanguagePair]:
    return [(k, j) for k in corpus.languages for j in corpus.languages]


def address(q: int, k: int, j: int, window: int = 0) -> int:
    return (((q * 3 + k) * 3 + j) << 16) + window


def test_feature_ids_by_hand(features: FeatureSet, corpus: ParallelCorpus) -> None:
    ids = features.features(every_pair(corpus))
    assert ids.tolist() == [
        # q1, passage en (10 tokens): 1 + (10 - 7) / 3 = 2 windows; es's question has 6 tokens, is cut to 4,
        # and leaves room for 5: 1 + ceil((10 - 5) / 3) = 3 windows.
        *(address(0, 0, 0, w) for w in (0, 1)),
        *(address(0, 0, 1, w) for w in (0, 1, 2)),
        *(address(0, 0, 2, w) for w in (0, 1)),
        # passage es (7 tokens)
        address(0, 1, 0),
        *(address(0, 1, 1, w) for w in (0, 1)),
        address(0, 1, 2),
        # passage de (3 tokens)
        *(address(0, 2, j) for j in (0, 1, 2)),
        # q2: en and de; q3: es and de
        *(address(1, k, j) for k in (0, 2) for j in (0, 2)),
        *(address(2, k, j) for k in (1, 2) for j in (1, 2)),
    ]


def test_ids_follow_from_questions_and_languages_alone(
    features: FeatureSet, corpus: ParallelCorpus, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    whole = features.features(every_pair(corpus))
    some = features.features([("de", "en"), ("es", "es"), ("de", "en")])
    assert some.tolist() == [
        *(address(0, 1, 1, w) for w in (0, 1)),
        address(0, 2, 0),
        address(1, 2, 0),
        address(2, 1, 1),
    ]
    assert set(some) < set(whole)
    assert features.features([]).tolist() == []
    wider = build(corpus, tokenizer, tmp_path, 40, 4, 3).features(every_pair(corpus))
    assert wider.tolist() == [id for id in whole.tolist() if id & 0xFFFF == 0]


def test_windows_by_hand(features: FeatureSet) -> None:
    windows = features.windows(np.array([address(0, 0, 1, w) for w in range(3)] + [address(2, 1, 1)]))
    assert windows.question.tolist() == [0, 0, 0, 2]
    assert windows.passage_language.tolist() == [0, 0, 0, 1]
    assert windows.question_language.tolist() == [1, 1, 1, 1]
    assert windows.number.tolist() == [0, 1, 2, 0]
    assert windows.count.tolist() == [3, 3, 3, 1]
    assert windows.question_tokens.tolist() == [4, 4, 4, 1]
    assert windows.start.tolist() == [0, 3, 6, 0]
    assert windows.stop.tolist() == [5, 8, 10, 7]
    assert windows.room.tolist() == [5, 5, 5, 8]
    # The answer "d e" is tokens 3 and 4; q3 has none.
    assert windows.first.tolist() == [3, 3, -1, -1]
    assert windows.last.tolist() == [4, 4, -1, -1]
    assert windows.tokens.tolist() == [9, 9, 8, 8]
    assert features.passage_tokens(windows).tolist() == [10, 10, 10, 7]
    assert [features.passage_text(windows, n) for n in (0, 3)] == ["a b c d e f g h i j", "a b c d e f g"]
    begins, ends = zip(*features.offsets(windows), strict=True)
    assert begins[1].tolist() == [6, 8, 10, 12, 14]
    assert ends[1].tolist() == [7, 9, 11, 13, 15]


def test_batch_by_hand(features: FeatureSet) -> None:
    cls, sep, pad = 2, 3, 0
    x, y, z, d, h, k = (5 + LETTERS.index(letter) for letter in "xyzdhk")
    batch = collate(features, np.array([address(0, 0, 1, 1), address(1, 2, 0), address(0, 0, 1, 2)]))
    assert batch.input_ids.tolist() == [
        [cls, x, y, z, x, sep, d, d + 1, d + 2, d + 3, h, sep],
        [cls, z, sep, k, sep, *[pad] * 7],
        [cls, x, y, z, x, sep, d + 3, h, h + 1, h + 2, sep, pad],
    ]
    assert batch.mask.sum(1).tolist() == [12, 5, 11]
    assert batch.token_types is not None
    assert batch.token_types.tolist() == [
        [0] * 6 + [1] * 6,
        [0, 0, 0, 1, 1, *[0] * 7],
        [0] * 6 + [1] * 5 + [0],
    ]
    assert batch.passage_at.tolist() == [6, 3, 6]
    assert batch.starts.tolist() == [6, 3, 0]
    assert batch.ends.tolist() == [7, 3, 0]
    assert batch.passage_languages == ("en", "de", "en")
    assert batch.question_languages == ("es", "en", "es")


def test_lengths_are_those_of_batches(features: FeatureSet, corpus: ParallelCorpus) -> None:
    ids = features.features(every_pair(corpus))
    batch = collate(features, ids)
    assert features.lengths(ids).tolist() == batch.mask.sum(1).tolist()
    assert batch.input_ids.shape == (len(ids), features.lengths(ids).max())


@pytest.fixture(scope="module")
def gaps(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    """Six languages that lack some of 300 questions; passages of 0 to 60 tokens, and some longer ones."""
    rng = np.random.default_rng(5)

    def text(least: int, most: int) -> str:
        # A control character is no token at all.
        return " ".join(rng.choice(list(LETTERS), rng.integers(least, most + 1))) or "\u0007"

    datasets = {}
    for language in ("en", "es", "de", "ar", "hi", "vi"):
        passages = [*(text(0, 60) for _ in range(36)), *(text(400, 900) for _ in range(4))]
        present = np.flatnonzero(rng.random(300) < 0.7)
        questions = [(str(n), text(1, 9), int(rng.integers(40)), None) for n in rng.permutation(present)]
        datasets[language] = dataset(language, passages, *questions)
    corpus = ParallelCorpus(datasets, "en", tuple(str(n) for n in range(300)))
    return build(corpus, tokenizer, tmp_path_factory.mktemp("tokens"), 24, 6, 5)


def cells(ids: "Ints", size: int = 6) -> "tuple[Ints, Ints, Ints]":
    """Question, passage language and question language of each pair that has windows among `ids`."""
    found = np.unique(ids >> 16)
    return found // size**2, found // size % size, found % size


def test_absent_questions_are_absent_pairs(gaps: FeatureSet) -> None:
    ids = gaps.features(every_pair(gaps.corpus))
    assert (np.diff(ids) > 0).all()
    present = np.stack([rows >= 0 for rows in gaps.corpus.rows.values()])
    assert len(np.unique(ids >> 16)) == (present.sum(0) ** 2).sum()
    q, k, j = cells(ids)
    assert present[k, q].all() and present[j, q].all()
    windows = gaps.windows(ids)
    assert np.array_equal(
        np.bincount(np.unique(ids >> 16, return_inverse=True)[1]), windows.count[ids & 0xFFFF == 0]
    )
    assert (windows.number < windows.count).all()


@pytest.mark.parametrize(
    "settings",
    [(24, 6, 5), (24, 6, 1), (24, 6, 11), (24, 6, 100), (12, 8, 1), (384, 64, 128), (384, 64, 300)],
)
def test_every_token_is_owned_by_the_window_with_most_context(
    gaps: FeatureSet, settings: tuple[int, int, int]
) -> None:
    rule = WindowRule(*settings, gaps.rule.specials)
    features = FeatureSet(gaps.corpus, rule, gaps.template, gaps.passages, gaps.questions)
    ids = features.features([("en", "de"), ("vi", "vi")])
    ids = ids[(ids >> 16) // 36 < 40]
    windows = features.windows(ids)
    lengths = features.passage_tokens(windows)
    width = int((windows.stop - windows.start).max())
    owned = windows.owned(width, lengths)
    for pair in np.unique(ids >> 16):
        mine = np.flatnonzero(ids >> 16 == pair)
        bounds = [(int(windows.start[n]), int(windows.stop[n])) for n in mine]
        assert bounds[0][0] == 0
        assert bounds[-1][1] == lengths[mine[0]]
        assert all(later[0] <= earlier[1] and later[0] > earlier[0] for earlier, later in pairwise(bounds))
        found = {
            (int(windows.start[n]) + column, place)
            for place, n in enumerate(mine)
            for column in np.flatnonzero(owned[n])
        }
        assert found == {(token, best(token, bounds)) for token in range(lengths[mine[0]])}


def best(token: int, bounds: list[tuple[int, int]]) -> int:
    """The first window with the highest min(tokens left, tokens right) + length / 100."""
    scores = [
        100 * min(token - start, stop - 1 - token) + stop - start if start <= token < stop else -1
        for start, stop in bounds
    ]
    return scores.index(max(scores))


def test_characters_that_a_tokenizer_drops_belong_to_its_neighbours(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """In run_qa, an answer that begins or ends with one has no label."""
    passage = "\u0007 a b \u0007"
    answers = ("\u0007 a", "b \u0007", "a b")
    data = dataset("en", [passage], *((str(n), "x", 0, answer) for n, answer in enumerate(answers)))
    features = build(ParallelCorpus({"en": data}, "en", ("0", "1", "2")), tokenizer, tmp_path, 12, 4, 3)
    batch = collate(features, features.features([("en", "en")]))
    assert batch.input_ids[0].tolist() == [2, 28, 3, 5, 6, 3]
    assert batch.starts.tolist() == [3, 4, 3]
    assert batch.ends.tolist() == [3, 4, 4]


def test_a_passage_of_too_many_windows(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    def windows(words: int) -> int:
        corpus = ParallelCorpus({"en": dataset("en", ["a " * words], ("1", "b", 0, None))}, "en", ("1",))
        return len(build(corpus, tokenizer, tmp_path, 13, 9, 1).features([("en", "en")]))

    assert windows(2**16 + 8) == 2**16  # room for 9 passage tokens
    with pytest.raises(ConfigError, match="makes 65537 windows; .* Raise model.window_step"):
        windows(2**16 + 9)


def test_no_room_for_a_passage() -> None:
    with pytest.raises(ConfigError, match=r"max_length = 20 .* 17 question tokens and 3 special ones; raise"):
        WindowRule(20, 17, 128, 3)
    assert WindowRule(20, 16, 128, 3).counts(np.array([16, 99]), np.array([2, 0])).tolist() == [2, 1]
