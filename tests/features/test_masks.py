from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError
from lbkd.features.batches import collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.masks import Masker, token_spans
from lbkd.features.tokens import Ints, TokenTable, tokenize
from lbkd.features.windows import WindowSettings
from lbkd.phrases import Phrases, words_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LANGUAGES = ("en", "es", "de")
STEPS = range(1, 6)


def features_of(tokenizer: "PreTrainedTokenizerFast", folder: Path, *windows: int) -> FeatureSet:
    paths = {language: BUILTIN_CORPUS / f"train.{language}.json" for language in LANGUAGES}
    corpus = ParallelCorpus.read(paths, "en", 12)
    return FeatureSet.build(corpus, tokenizer, "", folder, WindowSettings(*(windows or (384, 64, 128))))


@pytest.fixture(scope="module", params=["wordpiece_tokenizer", "e5_tokenizer"])
def tokenizer(request: pytest.FixtureRequest) -> "PreTrainedTokenizerFast":
    found: PreTrainedTokenizerFast = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def features(tokenizer: "PreTrainedTokenizerFast", tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    return features_of(tokenizer, tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def lists(features: FeatureSet) -> dict[str, Phrases]:
    """In each language every third run of three words and every fifth word: more than enough for any rate."""
    found = {}
    for language, data in features.corpus.datasets.items():
        texts = []
        for passage in data.passages:
            words = words_of(passage)
            texts += [passage[a.start() : b.end()] for a, b in zip(words[::3], words[2::3], strict=False)]
            texts += [word.group() for word in words[::5]]
        found[language] = Phrases(texts)
    return found


def masker(
    features: FeatureSet, lists: dict[str, Phrases], tokenizer: "PreTrainedTokenizerFast", rate: float = 0.15
) -> Masker:
    return Masker.of(features, lists, rate, tokenizer, seed=3)


def same(features: FeatureSet) -> Ints:
    """All windows whose question and passage are of one language."""
    return features.features([(language, language) for language in LANGUAGES])


def phrases_of(features: FeatureSet, lists: dict[str, Phrases], ids: Ints) -> list[list[tuple[int, int]]]:
    """For each window, (first, one past the last) position of every phrase that its passage shows whole."""
    batch = collate(features, ids)
    found = []
    for n, (begins, ends) in enumerate(features.offsets(batch.windows)):
        text = features.passage_text(batch.windows, n)
        spans = []
        for a, b in lists[batch.passage_languages[n]].find(text):
            inside = [t for t in range(len(begins)) if begins[t] < b and ends[t] > a]
            if inside and text[begins[inside[0]] : ends[inside[-1]]].strip() == text[a:b]:
                at = int(batch.passage_at[n])
                spans.append((at + inside[0], at + inside[-1] + 1))
        found.append(spans)
    return found


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_whole_phrases_and_nothing_else_at_the_stated_rate(
    features: FeatureSet, lists: dict[str, Phrases], tokenizer: "PreTrainedTokenizerFast", rate: float
) -> None:
    ids = same(features)
    source = masker(features, lists, tokenizer, rate)
    assert np.array_equal(source.maskable(ids), ids)
    errors, bounds = [], []
    plain, whole = collate(features, ids), phrases_of(features, lists, ids)
    for step in STEPS:
        batch = source.collate(ids, step)
        assert torch.equal(batch.labels, plain.input_ids[batch.chosen])
        assert torch.equal(batch.labels, plain.input_ids.flatten()[batch.places])
        untouched = ~batch.chosen
        assert torch.equal(batch.batch.input_ids[untouched], plain.input_ids[untouched])
        windows = batch.batch.windows
        for n, phrases in enumerate(whole):
            chosen = [span for span in phrases if batch.chosen[n, span[0]]]
            covered = torch.zeros_like(batch.chosen[n])
            for first, stop in chosen:
                covered[first:stop] = True
            assert torch.equal(covered, batch.chosen[n])  # each of them whole, and nothing besides
            size, longest = windows.stop[n] - windows.start[n], max(b - a for a, b in phrases)
            errors.append(float(batch.chosen[n].sum() / size - rate))
            bounds.append(longest / 2 / size)
            assert abs(errors[-1]) <= bounds[-1] + 1e-6
    # Errors within +-h, zero on average: by Hoeffding their sum is beyond this less than once in 25 times.
    assert abs(sum(errors)) < 2 * (2 * sum(h**2 for h in bounds)) ** 0.5


def test_all_phrases_where_they_are_fewer_than_the_rate(
    features: FeatureSet, lists: dict[str, Phrases], tokenizer: "PreTrainedTokenizerFast"
) -> None:
    few = {language: Phrases(sorted(found.members)[:3]) for language, found in lists.items()}
    source = masker(features, few, tokenizer, 1.0)
    ids = same(features)
    held = source.maskable(ids)
    assert 0 < len(held) < len(ids)
    batch = source.collate(ids, 1)
    for n, phrases in enumerate(phrases_of(features, few, ids)):
        assert bool(phrases) == (ids[n] in held)
        assert int(batch.chosen[n].sum()) == sum(stop - first for first, stop in phrases)


def test_eight_of_ten_are_masked_one_is_random_one_stays(
    features: FeatureSet, lists: dict[str, Phrases], tokenizer: "PreTrainedTokenizerFast"
) -> None:
    source = masker(features, lists, tokenizer)
    ids, kinds, drawn = same(features), Counter[str](), Counter[int]()
    true, whole = collate(features, ids).input_ids, phrases_of(features, lists, ids)
    for step in range(1, 32):
        batch = source.collate(ids, step)
        for n, phrases in enumerate(whole):
            for first, stop in phrases:
                if not batch.chosen[n, first]:
                    continue
                shown, was = batch.batch.input_ids[n, first:stop], true[n, first:stop]
                if torch.equal(shown, was):
                    kinds["stays"] += 1
                elif set(shown.tolist()) == {tokenizer.mask_token_id}:
                    kinds["masked"] += 1
                else:
                    kinds["random"] += 1
                    drawn.update(shown.tolist())
    total = kinds.total()
    assert total > 10_000
    for kind, share in (("masked", 0.8), ("random", 0.1), ("stays", 0.1)):
        deviation = (share * (1 - share) / total) ** 0.5
        assert abs(kinds[kind] / total - share) < 4 * deviation, kinds
    assert not {*drawn} & {*tokenizer.all_special_ids}
    assert max(drawn) < len(tokenizer)
    assert np.mean([*drawn.elements()]) == pytest.approx(len(tokenizer) / 2, rel=0.05)


def test_masks_depend_on_seed_step_and_window_alone(
    features: FeatureSet, lists: dict[str, Phrases], tokenizer: "PreTrainedTokenizerFast"
) -> None:
    source, ids = masker(features, lists, tokenizer), same(features)

    def shown(
        source: Masker, ids: "np.ndarray[tuple[int], np.dtype[np.int64]]", step: int
    ) -> dict[int, list[int]]:
        batch = source.collate(ids, step)
        rows = zip(ids, batch.batch.input_ids, batch.batch.mask, strict=True)
        return {int(id_): row[mask].tolist() for id_, row, mask in rows}

    whole = shown(source, ids, 7)
    parts: dict[int, list[int]] = {}
    for part in (ids[::-3], ids[1::3], ids[:1]):
        parts |= shown(masker(features, lists, tokenizer), part, 7)
    assert parts
    assert parts == {id_: whole[id_] for id_ in parts}
    other = Masker.of(features, lists, 0.15, tokenizer, seed=4)
    for changed in (shown(source, ids, 8), shown(other, ids, 7)):
        assert sum(changed[id_] != row for id_, row in whole.items()) > 0.9 * len(ids)
    assert source.count(ids, 7) == len(source.collate(ids, 7).labels)
    assert source.count(ids, 7) == sum(source.count(ids[n : n + 1], 7) for n in range(len(ids)))


def test_phrases_cut_by_the_edge_of_a_window_stay(
    lists: dict[str, Phrases], tokenizer: "PreTrainedTokenizerFast", tmp_path: Path
) -> None:
    features = features_of(tokenizer, tmp_path, 48, 16, 10)
    ids = same(features)
    batch = masker(features, lists, tokenizer, 1.0).collate(ids, 1)
    windows = batch.batch.windows
    cut = 0
    for n, language in enumerate(batch.batch.passage_languages):
        row, at = features.passage_rows(windows)[n], batch.batch.passage_at[n]
        text = features.passage_text(windows, n)
        for first, stop in token_spans(lists[language], text, features.passages[language], int(row)):
            whole = windows.start[n] <= first and stop <= windows.stop[n]
            a, b = (
                int(np.clip(t, windows.start[n], windows.stop[n]) - windows.start[n] + at)
                for t in (first, stop)
            )
            cut += not whole and a < b
            assert batch.chosen[n, a:b].tolist() == [whole] * (b - a)
    assert cut > 100


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("new york", [(0, 3)]),
        ("york is", [(1, 4)]),
        ("is", [(3, 4)]),
        ("so", []),  # shares a token with the full stop
        ("big so", []),
    ],
)
def test_spans_by_hand(phrase: str, expected: list[tuple[int, int]]) -> None:
    text = "New York is big so."
    tokens = ["New", " Yo", "rk", " is", " big", " so."]
    ends = np.cumsum([len(token) for token in tokens])
    table = TokenTable(np.array([0, 6]), np.arange(6), ends - [len(token) for token in tokens], ends)
    assert token_spans(Phrases([phrase]), text, table, 0).tolist() == [list(span) for span in expected]


def test_all_tokens_of_one_character(e5_tokenizer: "PreTrainedTokenizerFast") -> None:
    text = "und ﷺ und"  # one character that is four words to the tokenizer
    table = tokenize(["x", text], e5_tokenizer, "en")
    [[first, stop]] = token_spans(Phrases(["ﷺ"]), text, table, 1).tolist()
    assert stop - first > 3
    outside = [*range(table.rows[1], table.rows[1] + first), *range(table.rows[1] + stop, table.rows[2])]
    assert e5_tokenizer.decode(table.ids[outside]) == "und und"


def test_a_tokenizer_without_a_mask_token(features: FeatureSet, lists: dict[str, Phrases]) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, "a")))
    with pytest.raises(ConfigError, match="no mask token, so that no phrase can be masked. Use a model"):
        masker(features, lists, bare)
