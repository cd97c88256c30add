import tracemalloc
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset, Question
from lbkd.features import sampling
from lbkd.features.batches import Epoch
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.sampling import Sample, shuffled
from lbkd.features.tokens import Ints, Template, TokenTable
from lbkd.features.windows import WindowRule

TEMPLATE = Template((1,), (2,), (2,), 0, 0, False)


def table(lengths: Ints) -> TokenTable:
    rows = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    places = np.concatenate([np.arange(n) for n in lengths]).astype(np.int32)
    return TokenTable(rows, places + 5, places, places + 1)


def make(size: int, questions: int, present: float = 1.0, seed: int = 5) -> FeatureSet:
    """So many languages; passages of up to 60 tokens, some longer, where 15 to 20 fit into a window."""
    rng = np.random.default_rng(seed)
    ids = [str(n) for n in range(questions)]
    datasets, passages, asked = {}, {}, {}
    for code in (f"l{n}" for n in range(size)):
        mine = rng.permutation(np.flatnonzero(rng.random(questions) < present))
        items = tuple(Question(str(n), "", int(rng.integers(8)), ()) for n in mine)
        datasets[code] = Dataset(Path(), code, ("",) * 8, (0,) * 8, ("",), items)
        passages[code] = table(np.concatenate([rng.integers(0, 60, 7), rng.integers(400, 900, 1)]))
        asked[code] = table(rng.integers(1, 10, max(1, len(mine))))
    corpus = ParallelCorpus(datasets, "l0", tuple(ids))
    return FeatureSet(corpus, WindowRule(24, 6, 5, 3), TEMPLATE, passages, asked)


@pytest.fixture(scope="module")
def gaps() -> FeatureSet:
    """Six languages that lack some of 300 questions."""
    return make(6, 300, 0.7)


@pytest.fixture(scope="module")
def many() -> FeatureSet:
    """Forty languages, so that single ones are drawn instead of ranking all."""
    return make(40, 30, 0.9)


def every_pair(features: FeatureSet) -> list[LanguagePair]:
    return [(k, j) for k in features.languages for j in features.languages]


def some_pairs(features: FeatureSet) -> list[LanguagePair]:
    return [pair for n, pair in enumerate(every_pair(features)) if n % 5 in (0, 3)]


def drawn(sample: Sample) -> Ints:
    return sample[np.arange(len(sample))]


def places(features: FeatureSet, ids: Ints) -> Ints:
    """How many question languages each (question, passage language) has."""
    cells = np.unique(ids >> 16)
    size = len(features.languages)
    return np.bincount(cells // size, minlength=size * features.present.shape[1])


@pytest.mark.parametrize("pairs", [every_pair, some_pairs])
def test_without_a_number_all_windows(gaps: FeatureSet, many: FeatureSet, pairs: object) -> None:
    for features in (gaps, many):
        chosen = pairs(features)  # type: ignore[operator]
        assert drawn(Sample(features, chosen)).tolist() == features.features(chosen).tolist()
    assert drawn(Sample(gaps, [])).tolist() == []


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_any_numbers_in_any_order(gaps: FeatureSet, many: FeatureSet, data: st.DataObject) -> None:
    features = data.draw(st.sampled_from([gaps, many]))
    sample = Sample(features, some_pairs(features), data.draw(st.sampled_from([None, 1, 2, 5])), 3, 1)
    wanted = data.draw(st.lists(st.integers(0, len(sample) - 1), max_size=20).map(np.array))
    assert sample[wanted.astype(np.int64)].tolist() == drawn(sample)[wanted.astype(np.int64)].tolist()


@pytest.mark.parametrize("number", [1, 2, 6, 9, 50])
@pytest.mark.parametrize("pairs", [every_pair, some_pairs])
def test_sample(gaps: FeatureSet, many: FeatureSet, number: int, pairs: object) -> None:
    for features in (gaps, many):
        chosen = pairs(features)  # type: ignore[operator]
        whole, ids = features.features(chosen), drawn(Sample(features, chosen, number, 1))
        assert (np.diff(ids) > 0).all()
        kept = set((ids >> 16).tolist())
        assert ids.tolist() == [id for id in whole.tolist() if id >> 16 in kept]  # whole pairs
        assert np.array_equal(places(features, ids), np.minimum(places(features, whole), number))


def test_a_sample_is_a_function_of_seed_and_epoch(gaps: FeatureSet, many: FeatureSet) -> None:
    for features in (gaps, many):
        pairs = every_pair(features)
        ids = drawn(Sample(features, pairs, 2, 1, 0)).tolist()
        np.random.default_rng(9).random(100)
        assert drawn(Sample(features, pairs, 2, 1, 0)).tolist() == ids
        for seed, epoch in ((1, 1), (2, 0), (0, 1)):
            assert drawn(Sample(features, pairs, 2, seed, epoch)).tolist() != ids


@pytest.mark.parametrize("size", [5, 33])
def test_every_set_of_languages_is_equally_likely(size: int) -> None:
    """Two of the five languages that have the questions: 10 sets; chi-square of 9 degrees is below 27.9 in
    999 of 1000 cases. The one way is taken for 5 languages, the other for 33."""
    features = make(size, 60)
    pairs = [("l0", f"l{j}") for j in range(size - 5, size)]
    found: Counter[tuple[int, ...]] = Counter()
    for epoch in range(100):
        cells = np.unique(drawn(Sample(features, pairs, 2, 7, epoch)) >> 16)
        found.update(map(tuple, (cells % size).reshape(60, 2).tolist()))
    sets = list(combinations(range(size - 5, size), 2))
    assert sorted(found) == sets
    expected = 60 * 100 / len(sets)
    assert sum((found[one] - expected) ** 2 / expected for one in sets) < 27.9


def test_languages_are_drawn_independently_of_places() -> None:
    """One of 40 languages, for 40 x 30 places in 20 epochs: 39 degrees, below 72.1 in 999 of 1000 cases; and
    neighbouring places, or one place in two epochs, agree as often as chance has it: one in 40."""
    features = make(40, 30)
    languages = np.stack(
        [
            np.unique(drawn(Sample(features, every_pair(features), 1, 1, epoch)) >> 16) % 40
            for epoch in range(20)
        ]
    )
    counts = np.bincount(languages.reshape(-1), minlength=40)
    expected = languages.size / 40
    assert ((counts - expected) ** 2 / expected).sum() < 72.1
    for a, b in ((languages[:, 1:], languages[:, :-1]), (languages[1:], languages[:-1])):
        assert np.mean(a == b) == pytest.approx(1 / 40, abs=4 * (1 / 40 / a.size) ** 0.5)


def test_how_much_is_looked_at_together_changes_nothing(
    gaps: FeatureSet, many: FeatureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything() -> list[list[int]]:
        return [drawn(Sample(f, some_pairs(f), n)).tolist() for f in (gaps, many) for n in (None, 1, 4)]

    at_once = everything()
    monkeypatch.setattr(sampling, "_CELLS", 150 * 40)
    assert everything() == at_once


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 1000, 4097])
def test_shuffled_is_a_permutation(count: int) -> None:
    found = shuffled(np.arange(count), count, 1, 2)
    assert sorted(found.tolist()) == list(range(count))
    some = np.arange(0, count, 3)
    assert shuffled(some, count, 1, 2).tolist() == found[some].tolist()
    if count > 100:
        assert shuffled(np.arange(count), count, 1, 3).tolist() != found.tolist()


def test_shuffled_has_no_order() -> None:
    """Of each thousand numbers in a row, ten thousand in all, about 100 come into each tenth (at most 5 s.d.
    off), and neighbours come to places that tell nothing of each other."""
    found = shuffled(np.arange(10_000), 10_000, 1)
    grid = np.bincount(np.arange(10_000) // 1000 * 10 + found // 1000, minlength=100)
    assert np.abs(grid - 100).max() < 5 * 90**0.5
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.05


def all_at_once(
    features: FeatureSet, number: int | None, size: int, seed: int, epoch: int
) -> list[list[int]]:
    """The same batches from a list of all pairs and a list of all windows."""
    languages = len(features.languages)
    ids = features.features(every_pair(features))
    if number is not None:
        present = features.present.T
        chance = np.random.default_rng([seed, epoch, 1]).random((len(present), languages, languages))
        chance[~(present[:, :, None] & present[:, None, :])] = 2
        ranks = np.argsort(np.argsort(chance, axis=2), axis=2).reshape(-1)
        ids = ids[ranks[ids >> 16] < number]
    lengths = features.lengths(ids)
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(ids))
    pools = [order[at : at + 256 * size] for at in range(0, len(ids), 256 * size)]
    ordered = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    return [ids[ordered[n * size : (n + 1) * size]].tolist() for n in rng.permutation(-(-len(ids) // size))]


def batches(features: FeatureSet, number: int | None, size: int, seed: int, epoch: int) -> list[list[int]]:
    sample = Sample(features, every_pair(features), number, seed, epoch)

    def look_up(numbers: Ints) -> tuple[Ints, Ints]:
        ids = sample[numbers]
        return ids, features.lengths(ids)

    made = Epoch(len(sample), look_up, size, seed, epoch)
    return [made[n].tolist() for n in range(len(made))]


@pytest.mark.parametrize("number", [None, 1, 2])
def test_a_small_epoch_is_arranged_as_a_whole(gaps: FeatureSet, number: int | None) -> None:
    for size, seed, epoch in ((32, 1, 0), (7, 2, 3)):
        expected = all_at_once(gaps, number, size, seed, epoch)
        assert batches(gaps, number, size, seed, epoch) == expected


@pytest.mark.parametrize("size", [2, 7])
def test_a_large_epoch_has_every_window_once(
    gaps: FeatureSet, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sections of 512 windows, or of 1792: a pool at least."""
    monkeypatch.setattr("lbkd.features.batches._SECTION", 600)
    found = batches(gaps, 2, size, 1, 0)
    sizes = [len(batch) for batch in found]
    assert sorted(sizes)[1:] == [size] * (len(found) - 1)
    ids = drawn(Sample(gaps, every_pair(gaps), 2, 1, 0))
    assert len(ids) > 3 * 1792
    assert sorted(id for batch in found for id in batch) == ids.tolist()
    # The first tenth of the batches has windows of all questions, in no order.
    early = np.concatenate(found[: len(found) // 10]) >> 16
    questions = np.bincount(early // 36, minlength=300)
    assert np.corrcoef(questions, np.bincount((ids >> 16) // 36, minlength=300))[0, 1] > 0.6
    assert abs(np.corrcoef(early, np.arange(len(early)))[0, 1]) < 0.1


def test_batches_are_drawn_where_they_are_asked_for(
    gaps: FeatureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch of an epoch looks up the windows of its own section only."""
    monkeypatch.setattr("lbkd.features.batches._SECTION", 512)
    sample = Sample(gaps, every_pair(gaps), None)
    looked_up: list[int] = []

    def look_up(numbers: Ints) -> tuple[Ints, Ints]:
        looked_up.append(len(numbers))
        return sample[numbers], gaps.lengths(sample[numbers])

    epoch = Epoch(len(sample), look_up, 2, 1, 0)
    last = epoch[len(epoch) - 1].tolist()
    assert looked_up == [len(sample) % 512]
    assert last == batches(gaps, None, 2, 1, 0)[-1]


def peak(size: int, questions: int, number: int | None) -> int:
    """Bytes that the batches of two sections take at most, and the tables that they are drawn from."""
    features = make(size, questions)
    _ = features.lengths(np.zeros(1, dtype=np.int64))
    tracemalloc.start()
    sample = Sample(features, every_pair(features), number)

    def look_up(numbers: Ints) -> tuple[Ints, Ints]:
        ids = sample[numbers]
        return ids, features.lengths(ids)

    epoch = Epoch(len(sample), look_up, 4, 1, 0)
    for n in range(0, 1024, 100):
        assert len(epoch[n]) == 4
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("number", [1, None])
def test_memory_does_not_grow_with_pairs(number: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times as many languages, a quarter of the questions: four times as many pairs, 320,000.

    A list of their ids alone takes 2.5 MB.
    """
    for name in ("sampling._CELLS", "dataset._CELLS", "batches._SECTION"):
        monkeypatch.setattr(f"lbkd.features.{name}", 2048)
    few, many = peak(10, 800, number), peak(40, 200, number)
    assert many < 1.6 * few
    assert many < 1_500_000
