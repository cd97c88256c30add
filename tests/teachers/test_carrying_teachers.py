"""Teachers with tokens of their own, over real tokenizers, with tiny random models."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tokenizer_families import byte_level
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.spans import best
from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, tokenizer_hash
from lbkd.features.windows import Windows, WindowSettings
from lbkd.models.span import span_logits
from lbkd.models.trimming.trim import trim_vocabulary
from lbkd.teachers import store as module
from lbkd.teachers.carrying import Carrying, Unread
from lbkd.teachers.compute import compute_logits
from lbkd.teachers.packing import Logits
from lbkd.teachers.store import LogitsStore

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PAIRS = [("en", "en"), ("de", "en"), ("es", "de")]
INGREDIENTS = {"teacher": "beef"}


def letters(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Every letter is a token, white space is none; a question and a passage are told apart by `|` alone."""
    vocabulary = {letter: n for n, letter in enumerate(["_", "?", "|", *sorted(set("".join(texts)))])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
    )
    backend.post_processor = processors.TemplateProcessing(
        single="$A", pair="| $A | $B", special_tokens=[("|", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="_", unk_token="?")


@pytest.fixture(scope="module")
def corpus() -> ParallelCorpus:
    paths = {language: BUILTIN_CORPUS / f"train.{language}.json" for language in ("en", "de", "es")}
    return ParallelCorpus.read(paths, "en", limit=3)


@pytest.fixture(scope="module")
def tokenizers(
    builtin_texts: tuple[str, ...],
    wordpiece_tokenizer: PreTrainedTokenizerFast,
    e5_tokenizer: PreTrainedTokenizerFast,
    xlm_tokenizer: "PreTrainedTokenizerBase",
) -> dict[str, "PreTrainedTokenizerBase"]:
    return {
        "word pieces": wordpiece_tokenizer,
        "unigrams": e5_tokenizer,
        "bytes": byte_level(builtin_texts),
        "xlm": xlm_tokenizer,
        "letters": letters(builtin_texts),
    }


Build = Callable[..., FeatureSet]


@pytest.fixture(scope="module")
def build(
    corpus: ParallelCorpus,
    tokenizers: dict[str, "PreTrainedTokenizerBase"],
    tmp_path_factory: pytest.TempPathFactory,
) -> Build:
    folder = tmp_path_factory.mktemp("tokens")

    def made(
        name: str, max_length: int = 64, tokenizer: "PreTrainedTokenizerBase | None" = None
    ) -> FeatureSet:
        tokenizer = tokenizer or tokenizers[name]
        windows = WindowSettings(max_length, max_question_tokens=12, step=21)
        return FeatureSet.build(corpus, tokenizer, tokenizer_hash(tokenizer), folder, windows)

    return made


def model_for(tokenizer: "PreTrainedTokenizerBase") -> BertForQuestionAnswering:
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        initializer_range=0.7,
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return BertForQuestionAnswering(config)


def halves(model: BertForQuestionAnswering, batch: Batch) -> Logits:
    torch.nn.Module.train(model, False)
    with torch.inference_mode():
        return torch.stack([*span_logits(model, batch)]).numpy()


def stored(folder: Path, features: FeatureSet) -> LogitsStore:
    ids = features.features(PAIRS)
    store = LogitsStore(folder, ids, features.lengths(ids))
    store.prepare(INGREDIENTS)
    return store


def sample(features: FeatureSet) -> Ints:
    return features.features(PAIRS)[::7]


def read(
    carrying: Carrying, model: BertForQuestionAnswering, ids: Ints
) -> tuple[Batch, Logits, list[Logits]]:
    """The teacher's windows and (2, B, L) logits, and the carried ones of each window."""
    windows, _ = carrying.windows(ids)
    batch = collate(carrying.own, windows)
    both = halves(model, batch)
    return batch, both, list(carrying.logits(windows, both))


@pytest.mark.parametrize("name", ["word pieces", "unigrams", "bytes", "xlm"])
def test_the_students_tokenizer_gives_the_students_store(
    name: str,
    build: Build,
    tokenizers: dict[str, "PreTrainedTokenizerBase"],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BLOCK", 64)
    features, model = build(name), model_for(tokenizers[name])
    plain, carried = stored(tmp_path / "plain", features), stored(tmp_path / "carried", features)
    assert compute_logits(model, features, plain, 1000) == Unread()
    unread = compute_logits(model, Carrying(features, build(name), 64), carried, 1000)
    assert unread[:2] == (len(plain.features), 0)
    for half in module.HALVES:
        assert (plain.folder / f"{half}.u12").read_bytes() == (carried.folder / f"{half}.u12").read_bytes()


@pytest.mark.parametrize("student", ["word pieces", "unigrams", "bytes", "letters"])
@pytest.mark.parametrize("teacher", ["word pieces", "unigrams", "bytes", "xlm"])
def test_the_mass_stays_and_every_window_has_its_length(
    teacher: str, student: str, build: Build, tokenizers: dict[str, "PreTrainedTokenizerBase"]
) -> None:
    carrying = Carrying(build(student), build(teacher), 512)
    ids = sample(carrying.student)
    batch, both, found = read(carrying, model_for(tokenizers[teacher]), ids)
    lengths = batch.windows.tokens + carrying.own.template.specials
    assert [mine.shape for mine in found] == [(2, length) for length in carrying.student.lengths(ids)]
    for n, mine in enumerate(found):
        whole = np.logaddexp.reduce(both[:, n, : lengths[n]].astype(np.float64), axis=1)
        assert np.logaddexp.reduce(mine.astype(np.float64), axis=1) == pytest.approx(whole, abs=1e-6)
        assert np.isfinite(mine).all()
        # Position 0 is the label of windows without the answer; there goes what has no counterpart.
        last = 0 if carrying.student.template.last else len(carrying.own.template.last)
        null = both[:, n, [0, *range(lengths[n] - last, lengths[n])]].astype(np.float64)
        assert mine[:, 0] == pytest.approx(np.logaddexp.reduce(null, axis=1), abs=1e-6)
    assert carrying.windows(ids)[1][:2] == (len(ids), 0)


@pytest.mark.parametrize("teacher", ["word pieces", "unigrams", "bytes", "xlm"])
def test_the_teacher_reads_what_the_student_reads(teacher: str, build: Build) -> None:
    """The teacher's part of a passage has all the window's characters, and no whole word beyond."""
    carrying = Carrying(build("unigrams"), build(teacher), 512)
    ids = sample(carrying.student)
    seen = carrying.student.windows(ids)
    found, _ = carrying.windows(ids)
    offsets = zip(carrying.student.offsets(seen), carrying.own.offsets(found), strict=True)
    for n, ((begins, ends), (own_begins, own_ends)) in enumerate(offsets):
        text = carrying.student.passage_text(seen, n)
        assert not text[begins[0] : own_begins[0]].strip() and not text[own_ends[-1] : ends[-1]].strip()
        assert len(text[own_begins[0] : begins[0]].split()) <= 1
        assert len(text[ends[-1] : own_ends[-1]].split()) <= 1


def best_slice(features: FeatureSet, windows: Windows, n: int, passage: Logits) -> str:
    """The window's best answer by the logits of its passage, however long."""
    start, end = passage[:, None]
    _, first, last, _ = best(start, end, 1, passage.shape[1], 1.0)
    begins, ends = list(features.offsets(windows))[n]
    return features.passage_text(windows, n)[begins[first[0, 0]] : ends[last[0, 0]]].strip()


@pytest.mark.parametrize("teacher", ["word pieces", "unigrams"])
def test_a_student_of_letters_answers_as_its_teacher(
    teacher: str, build: Build, tokenizers: dict[str, "PreTrainedTokenizerBase"]
) -> None:
    """All answers lie on the student's borders, and no two teacher tokens end in one of its letters."""
    carrying = Carrying(build("letters", max_length=400), build(teacher), 512)
    ids = sample(carrying.student)
    batch, both, found = read(carrying, model_for(tokenizers[teacher]), ids)
    seen, frame = carrying.student.windows(ids), carrying.student.template
    answers = set()
    for n, mine in enumerate(found):
        at, own = frame.specials - len(frame.last) + int(seen.question_tokens[n]), int(batch.passage_at[n])
        tokens = int(batch.windows.stop[n] - batch.windows.start[n])
        wanted = best_slice(carrying.own, batch.windows, n, both[:, n, own : own + tokens])
        assert best_slice(carrying.student, seen, n, mine[:, at : len(mine[0]) - len(frame.last)]) == wanted
        answers.add(wanted)
    assert len(answers) > len(ids) // 2


def test_a_trimmed_student_and_its_whole_teacher(
    build: Build, wordpiece_tokenizer: PreTrainedTokenizerFast, corpus: ParallelCorpus, tmp_path: Path
) -> None:
    """Other ids, the same pieces: the logits are those of the trimmed teacher, bit for bit."""
    wordpiece_tokenizer.save_pretrained(tmp_path)
    smaller = type(wordpiece_tokenizer).from_pretrained(tmp_path)
    whole, trimmed = model_for(wordpiece_tokenizer), model_for(wordpiece_tokenizer)
    texts = [text for data in corpus.datasets.values() for text in (*data.passages, *data.question_texts)]
    kept = trim_vocabulary(trimmed, smaller, texts, 0)
    assert len(kept) == len(smaller) < len(wordpiece_tokenizer) // 2
    student = build("", tokenizer=smaller)
    stores = stored(tmp_path / "whole", student), stored(tmp_path / "trimmed", student)
    compute_logits(whole, Carrying(student, build("word pieces"), 64), stores[0], 1000)
    compute_logits(trimmed, student, stores[1], 1000)
    for half in module.HALVES:
        first, second = (store.folder / f"{half}.u12" for store in stores)
        assert first.read_bytes() == second.read_bytes()


def test_a_teacher_that_reads_less(build: Build, tokenizers: dict[str, "PreTrainedTokenizerBase"]) -> None:
    all_read = Carrying(build("word pieces"), build("bytes"), 512)
    ids = sample(all_read.student)
    whole, everything = all_read.windows(ids)
    most = int(np.median(whole.tokens))
    carrying = replace(all_read, longest=most + all_read.own.template.specials)
    windows, unread = carrying.windows(ids)
    assert np.array_equal(windows.tokens, np.minimum(whole.tokens, most))
    cut = np.flatnonzero(whole.tokens > most)
    assert 0 < len(cut) < len(ids)
    assert unread[:3] == (len(ids), len(cut), everything.characters)
    ends = [zip(*list(carrying.own.offsets(each)), strict=True) for each in (whole, windows)]
    (_, longer), (_, shorter) = ends
    lost = sum(int(longer[n][-1] - shorter[n][-1]) for n in cut)
    assert unread.lost == pytest.approx(lost, abs=2 * len(cut))  # a last token may reach beyond the window
    assert f"{len(cut)} of {len(ids)} windows" in str(unread)
    _, _, found = read(carrying, model_for(tokenizers["bytes"]), ids)
    beyond = found[cut[0]][:, -2]  # the passage's last token, before the last special one
    assert np.all(beyond <= found[cut[0]].max(axis=1) - 24)


def test_another_corpus_is_refused(build: Build) -> None:
    features = build("letters")
    other = ParallelCorpus(features.corpus.datasets, "de", features.corpus.question_ids)
    with pytest.raises(ValueError, match="the same corpus"):
        Carrying(features, replace(features, corpus=other), 64)
