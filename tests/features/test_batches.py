from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast, XLMTokenizer

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Answer, Dataset, Question
from lbkd.features.batches import Batch, Epoch, collate, share
from lbkd.features.collate import by_tokens
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, tokenizer_hash
from lbkd.features.windows import WindowSettings


def build(
    corpus: ParallelCorpus, tokenizer: PreTrainedTokenizerFast, folder: Path, *settings: int
) -> FeatureSet:
    return FeatureSet.build(corpus, tokenizer, tokenizer_hash(tokenizer), folder, WindowSettings(*settings))


def every_pair(features: FeatureSet) -> Ints:
    return features.features([(k, j) for k in features.languages for j in features.languages])


@pytest.fixture(scope="module", params=["wordpiece", "e5"])
def features(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    """The builtin training set in short windows: 3 languages, several windows a pair."""
    tokenizer = request.getfixturevalue(f"{request.param}_tokenizer")
    corpus = ParallelCorpus.read({c: BUILTIN_CORPUS / f"train.{c}.json" for c in ("en", "es", "de")}, "en")
    return build(corpus, tokenizer, tmp_path_factory.mktemp("tokens"), 48, 16, 16)


LENGTHS = np.random.default_rng(0).integers(20, 385, 5000)
IDS = np.sort(np.random.default_rng(1).choice(10**9, 5000, replace=False))


@pytest.mark.parametrize("size", [1, 7, 32, 5000, 6000])
def test_an_epoch_has_every_feature_once(size: int) -> None:
    epoch = Epoch.of(IDS, LENGTHS, size, seed=1, epoch=0)
    batches = [epoch[n] for n in range(len(epoch))]
    assert len(epoch) == -(-5000 // size)
    sizes = sorted(len(batch) for batch in batches)
    assert set(sizes[1:]) <= {size}
    assert 0 < sizes[0] <= size
    assert np.array_equal(np.sort(np.concatenate(batches)), IDS)


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    def batches(seed: int, epoch: int) -> list[list[int]]:
        made = Epoch.of(IDS, LENGTHS, 32, seed, epoch)
        return [made[n].tolist() for n in range(len(made))]

    first = batches(1, 0)
    np.random.default_rng(9).random(100)
    np.random.seed(9)
    torch.manual_seed(9)
    assert batches(1, 0) == first
    for other in (batches(2, 0), batches(1, 1), batches(0, 1)):
        assert sorted(other) != sorted(first)  # other batches, not only another order


def test_an_epoch_of_nothing() -> None:
    assert len(Epoch.of(IDS[:0], LENGTHS[:0], 32, 1, 0)) == 0


def test_batches_come_in_no_order_of_length() -> None:
    epoch = Epoch.of(IDS, LENGTHS, 32, 1, 0)
    of = dict(zip(IDS.tolist(), LENGTHS.tolist(), strict=True))
    means = [np.mean([of[id] for id in epoch[n].tolist()]) for n in range(len(epoch))]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.25


@pytest.mark.parametrize("kind", ["wordpiece", "e5"])
def test_padding_on_xquad(
    kind: str, request: pytest.FixtureRequest, xquad: ParallelCorpus, tmp_path: Path
) -> None:
    three = ParallelCorpus(
        {code: xquad.datasets[code] for code in ("en", "es", "de")}, "en", xquad.question_ids
    )
    features = build(three, request.getfixturevalue(f"{kind}_tokenizer"), tmp_path, 384, 64, 128)
    ids = every_pair(features)
    lengths = features.lengths(ids)
    length = dict(zip(ids.tolist(), lengths.tolist(), strict=True))
    for number in range(3):
        epoch = Epoch.of(ids, lengths, 32, 1, number)
        padded = 0
        for n in range(len(epoch)):
            found = [length[id] for id in epoch[n].tolist()]
            padded += max(found) * len(found)
        assert len(ids) >= 9 * 1190
        assert 0 < 1 - lengths.sum() / padded < 0.03


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 2, 5, 8, 31, 32])
def test_shares_make_up_the_batch(world: int, parts: int, size: int) -> None:
    batch = IDS[:size]
    shares = [share(batch, rank, world, parts) for rank in range(world)]
    assert all(len(mine) == parts for mine in shares)
    together = [id for mine in shares for part in mine for id in part.tolist()]
    assert sorted(together) == batch.tolist()
    sizes = [len(part) for mine in shares for part in mine]
    assert max(sizes) - min(sizes) <= 1
    per_rank = [sum(len(part) for part in mine) for mine in shares]
    assert max(per_rank) - min(per_rank) <= parts


def test_share_by_hand() -> None:
    batch = np.arange(10, 17)
    first, second = (share(batch, rank, world_size=2, gradient_accumulation_steps=2) for rank in (0, 1))
    assert [part.tolist() for part in first] == [[10, 14], [12, 16]]
    assert [part.tolist() for part in second] == [[11, 15], [13]]


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(3, 400), max_size=60).map(np.array),
    budget=st.integers(1, 3000),
)
def test_by_tokens_keeps_to_the_budget(lengths: Ints, budget: int) -> None:
    ids = np.arange(len(lengths)) + 100
    length = dict(zip(ids.tolist(), lengths.tolist(), strict=True))
    batches = [batch.tolist() for batch in by_tokens(ids, lengths.astype(np.int64), budget)]
    assert sorted(id for batch in batches for id in batch) == ids.tolist()
    widest = [max(length[id] for id in batch) for batch in batches]
    assert widest == sorted(widest)
    for batch, following, width in zip(batches, [*batches, []][1:], widest, strict=True):
        assert len(batch) == 1 or width * len(batch) <= budget
        if following:  # no more would have fit
            assert (len(batch) + 1) * min(length[id] for id in following) > budget


def content(batch: Batch, n: int) -> tuple[list[int], ...]:
    """All that a batch says of its n-th window."""
    mask = batch.mask[n]
    types = [] if batch.token_types is None else batch.token_types[n, mask].tolist()
    labels = [int(batch.starts[n]), int(batch.ends[n]), int(batch.passage_at[n])]
    return (
        batch.input_ids[n, mask].tolist(),
        types,
        labels,
        [int(field[n]) for field in vars(batch.windows).values()],
    )


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_row_does_not_depend_on_its_company(features: FeatureSet, data: st.DataObject) -> None:
    ids = every_pair(features)
    places = data.draw(st.lists(st.integers(0, len(ids) - 1), min_size=1, max_size=12))
    batch = collate(features, ids[places])
    for n, place in enumerate(places):
        alone = collate(features, ids[place : place + 1])
        assert alone.mask.all()
        assert content(batch, n) == content(alone, 0)


def test_collate(features: FeatureSet) -> None:
    ids = every_pair(features)[::7]
    batch = collate(features, ids)
    lengths = features.lengths(ids)
    rows, width = batch.input_ids.shape
    assert (rows, width) == (len(ids), lengths.max())
    assert np.array_equal(batch.mask.numpy(), np.arange(width) < lengths[:, None])
    assert (batch.input_ids[~batch.mask] == features.template.pad).all()
    assert batch.input_ids.dtype == batch.starts.dtype == batch.ends.dtype == torch.int64
    assert batch.mask.dtype == torch.bool
    assert set(batch.inputs()) == {"input_ids", "attention_mask"} | (
        {"token_type_ids"} if features.template.has_types else set()
    )
    if batch.token_types is not None:
        passage = torch.arange(width) >= torch.from_numpy(batch.passage_at)[:, None]
        assert torch.equal(batch.token_types, (passage & batch.mask).long())
    without = batch.windows.first < 0
    assert 0 < without.sum() < len(ids)
    assert not batch.starts[without].any() and not batch.ends[without].any()
    assert (batch.starts[~without] >= torch.from_numpy(batch.passage_at)[~without]).all()
    assert (batch.ends >= batch.starts).all()
    assert (batch.ends < torch.from_numpy(lengths) - len(features.template.last)).all()


def test_labels_are_the_answers_text(features: FeatureSet) -> None:
    ids = every_pair(features)
    batch = collate(features, ids)
    windows = batch.windows
    for n, (begins, ends) in enumerate(features.offsets(windows)):
        if windows.first[n] < 0:
            continue
        language = batch.passage_languages[n]
        row = features.corpus.rows[language][windows.question[n]]
        answer = features.corpus.datasets[language].questions[row].answers[0].text
        first, last = int(batch.starts[n] - batch.passage_at[n]), int(batch.ends[n] - batch.passage_at[n])
        assert answer in features.passage_text(windows, n)[begins[first] : ends[last]]


def test_a_batch_moves_as_a_whole(features: FeatureSet) -> None:
    batch = collate(features, every_pair(features)[:3])
    moved = batch.to(torch.device("meta"))
    for name, value in vars(batch).items():
        if isinstance(value, torch.Tensor):
            assert getattr(moved, name).device.type == "meta"
        else:
            assert getattr(moved, name) is value


def test_an_empty_batch(features: FeatureSet) -> None:
    """A rank whose share of a ragged batch is empty."""
    batch = collate(features, np.zeros(0, dtype=np.int64))
    assert batch.input_ids.shape == (0, features.template.specials)


def test_languages_of_tokens_by_hand(xlm_tokenizer: XLMTokenizer, tmp_path: Path) -> None:
    """`<s>` question `</s>` in the question's language, passage `</s>` and padding in the passage's."""

    def data(language: str, passage: str, question: str) -> Dataset:
        return Dataset(
            Path(), language, (passage,), (0,), ("",), (Question("1", question, 0, (Answer(passage, 0),)),)
        )

    corpus = ParallelCorpus(
        {"en": data("en", "on a mat", "who?"), "de": data("de", "auf", "was ist das")}, "en", ("1",)
    )
    numbers = {"de": 3, "hi": 1, "en": 5}
    hashed = tokenizer_hash(xlm_tokenizer, numbers)
    features = FeatureSet.build(corpus, xlm_tokenizer, hashed, tmp_path, WindowSettings(32, 8, 8), numbers)
    asked = {code: int(features.questions[code].lengths[0]) for code in ("en", "de")}
    passage = {code: int(features.passages[code].lengths[0]) for code in ("en", "de")}
    batch = collate(features, every_pair(features))
    width = batch.input_ids.shape[1]
    assert width == 3 + asked["de"] + passage["en"]  # the longest of each
    assert batch.langs is not None and batch.langs.dtype == torch.int64
    expected = []
    for k, j in (("en", "en"), ("en", "de"), ("de", "en"), ("de", "de")):
        first = 2 + asked[j]
        expected.append([numbers[j]] * first + [numbers[k]] * (width - first))
    assert batch.langs.tolist() == expected
    assert not batch.mask.all()
    assert batch.inputs().keys() == {"input_ids", "attention_mask", "langs"}
    assert batch.inputs()["langs"] is batch.langs
    told_nothing = FeatureSet.build(corpus, xlm_tokenizer, hashed, tmp_path, WindowSettings(32, 8, 8))
    assert collate(told_nothing, every_pair(features)).langs is None
