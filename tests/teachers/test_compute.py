from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForQuestionAnswering
from word_features import word_features

from lbkd.corpus.squad import Answer, Dataset, Question
from lbkd.errors import DataError
from lbkd.features.batches import collate
from lbkd.features.dataset import FeatureSet
from lbkd.teachers import store as module
from lbkd.teachers.compute import Share, compute_logits
from lbkd.teachers.packing import sizes
from lbkd.teachers.store import LogitsStore

WORDS = 60
LANGUAGES = ("en", "de", "ar")
INGREDIENTS = {"corpus": "c0ffee", "teacher": "beef"}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing by threads, and lose much where other programs compute, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def dataset(language: str, seed: int) -> Dataset:
    """Five passages of 2 to 70 words and a question of 1 to 6 words about each."""
    rng = np.random.default_rng(seed)

    def text(words: int) -> str:
        return " ".join(f"w{n}" for n in rng.integers(0, WORDS, words))

    passages = tuple(text(words) for words in (70, 2, 33, 9, 18))
    questions = tuple(
        Question(str(n), text(int(rng.integers(1, 7))), n, (Answer(passage[:2], 0),))
        for n, passage in enumerate(passages)
    )
    return Dataset(Path(language), language, passages, (0,) * 5, ("",), questions)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    datasets = {language: dataset(language, seed) for seed, language in enumerate(LANGUAGES)}
    words = [f"w{n}" for n in range(WORDS)]
    return word_features(datasets, tmp_path_factory.mktemp("tokens"), words)


@pytest.fixture(scope="module")
def model() -> BertForQuestionAnswering:
    config = BertConfig(
        vocab_size=WORDS + 4,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        initializer_range=0.5,
    )
    torch.manual_seed(0)
    return BertForQuestionAnswering(config)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 16)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The blocks that were written, in their order."""
    numbers: list[int] = []
    write = LogitsStore.write

    def noted(self: LogitsStore, number: int, *rest: object) -> None:
        numbers.append(number)
        write(self, number, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(LogitsStore, "write", noted)
    return numbers


def prepared(folder: Path, features: FeatureSet) -> LogitsStore:
    ids = features.features([(passage, question) for passage in LANGUAGES for question in LANGUAGES])
    store = LogitsStore(folder, ids, features.lengths(ids))
    store.prepare(INGREDIENTS)
    return store


def everything(store: LogitsStore) -> np.ndarray:
    return np.stack(store.open(INGREDIENTS).read(store.features, 32))


def test_equals_the_model_one_window_at_a_time(
    tmp_path: Path, features: FeatureSet, model: BertForQuestionAnswering
) -> None:
    store = prepared(tmp_path / "logits", features)
    assert len(store.features) > 4 * 16  # several blocks, the last one not full
    assert len(set(store.lengths)) > 5
    model.train()  # dropout must be off all the same
    compute_logits(model, features, store, batch_tokens=100)
    found = everything(store)
    model.eval()
    largest = 0.0
    for n, feature in enumerate(store.features):
        batch = collate(features, np.array([feature]))
        assert batch.token_types is not None
        with torch.inference_mode():
            out = model(input_ids=batch.input_ids, token_type_ids=batch.token_types)
        length = store.lengths[n]
        for half, wanted in zip(found[:, n], (out.start_logits, out.end_logits), strict=True):
            step = float(wanted.max() - wanted.min()) / 4095
            assert half[:length] == pytest.approx(wanted[0].numpy(), abs=0.51 * step + 1e-6)
            assert np.all(half[length:] == -np.inf)
            largest = max(largest, float(wanted.max()))
    assert largest > 1  # logits that tell windows apart


@pytest.mark.parametrize("batch_tokens", [1, 37, 10_000])
def test_batches_change_nothing(
    tmp_path: Path, features: FeatureSet, model: BertForQuestionAnswering, batch_tokens: int
) -> None:
    one, other = prepared(tmp_path / "one", features), prepared(tmp_path / "other", features)
    compute_logits(model, features, one, batch_tokens=200)
    compute_logits(model, features, other, batch_tokens=batch_tokens)
    left, right = everything(one), everything(other)
    assert np.array_equal(np.isfinite(left), np.isfinite(right))
    real = np.isfinite(left)
    assert left[real] == pytest.approx(right[real], rel=2**-9, abs=1e-4)


def test_progress_ends_at_the_total(
    tmp_path: Path, features: FeatureSet, model: BertForQuestionAnswering
) -> None:
    store = prepared(tmp_path / "logits", features)
    calls: list[tuple[int, int]] = []
    compute_logits(model, features, store, 100, progress=lambda *call: calls.append(call))
    count = len(store.features)
    assert [total for _, total in calls] == [count] * len(calls)
    done = [done for done, _ in calls]
    assert len(done) > count / 16
    assert done == sorted(set(done))
    assert done[-1] == count
    compute_logits(model, features, store, 100, progress=lambda *call: calls.append(call))
    assert len(calls) == len(done)  # nothing was left to do


def test_an_interrupted_scoring_resumes(
    tmp_path: Path, features: FeatureSet, model: BertForQuestionAnswering, written: list[int]
) -> None:
    whole, store = prepared(tmp_path / "whole", features), prepared(tmp_path / "logits", features)
    compute_logits(model, features, whole, 100)
    blocks = list(range(whole.blocks))
    assert written == blocks
    written.clear()

    def stop(done: int, total: int) -> None:
        if done > 2 * 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_logits(model, features, store, 100, progress=stop)
    assert written == [0, 1]
    calls: list[tuple[int, int]] = []
    compute_logits(model, features, store, 100, progress=lambda *call: calls.append(call))
    assert written == blocks
    left = len(store.features) - 2 * 16
    assert calls[-1] == (left, left)
    assert np.array_equal(everything(store), everything(whole))


def test_only_a_damaged_block_is_scored_again(
    tmp_path: Path, features: FeatureSet, model: BertForQuestionAnswering, written: list[int]
) -> None:
    store = prepared(tmp_path / "logits", features)
    compute_logits(model, features, store, 100)
    before = everything(store)
    data = bytearray((store.folder / "end.u12").read_bytes())
    data[int(sizes(store.lengths[: 2 * 16]).sum())] ^= 64
    (store.folder / "end.u12").write_bytes(data)
    with pytest.raises(DataError, match=r"1 of \d+ blocks .* block 2\)"):
        store.open(INGREDIENTS)
    written.clear()
    compute_logits(model, features, store, 100)
    assert written == [2]
    assert np.array_equal(everything(store), before)


def test_two_ranks_give_the_bytes_of_one(
    tmp_path: Path, features: FeatureSet, model: BertForQuestionAnswering, written: list[int]
) -> None:
    one, two = prepared(tmp_path / "one", features), prepared(tmp_path / "two", features)
    compute_logits(model, features, one, 100)
    written.clear()
    compute_logits(model, features, two, 100, share=Share(0, 2))
    evens = list(range(0, two.blocks, 2))
    assert written == evens
    compute_logits(
        model, features, two, 100, share=Share(1, 2)
    )  # a rank that looks when the other has finished
    assert written == evens + list(range(1, two.blocks, 2))
    for half in module.HALVES:
        assert (one.folder / f"{half}.u12").read_bytes() == (two.folder / f"{half}.u12").read_bytes()
    assert np.array_equal(everything(one), everything(two))


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_teacher_that_went_astray(
    tmp_path: Path, features: FeatureSet, model: BertForQuestionAnswering, weight: float
) -> None:
    store = prepared(tmp_path / "logits", features)
    bias = model.qa_outputs.bias.data
    before = bias.clone()
    bias[1] = weight
    try:
        with pytest.raises(DataError, match="not all finite numbers"):
            compute_logits(model, features, store, 100)
    finally:
        bias.copy_(before)
    assert store.finished() == set()


def test_no_windows_at_all(tmp_path: Path, features: FeatureSet, model: BertForQuestionAnswering) -> None:
    none = np.zeros(0, dtype=np.int64)
    store = LogitsStore(tmp_path / "logits", none, none)
    store.prepare(INGREDIENTS)
    compute_logits(model, features, store, 100)
    assert everything(store).shape == (2, 0, 32)
