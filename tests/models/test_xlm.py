"""Span models of the XLM family: language embeddings, no fast tokenizer."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    XLMConfig,
    XLMForQuestionAnsweringSimple,
    XLMModel,
    XLMTokenizer,
)

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError
from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.models.flops import matrix_weights
from lbkd.models.load import (
    language_numbers,
    load_config,
    load_encoder,
    load_span_model,
    load_tokenizer,
    longest_input,
)
from lbkd.models.prepare import prepare
from lbkd.models.run_folder import trained
from lbkd.models.span import SpanLogits, span_logits


@pytest.fixture(scope="module")
def features(tiny_xlm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    """Eight passages in English and Hindi."""
    name = str(tiny_xlm_folder)
    tokenizer = load_tokenizer(name)
    numbers = language_numbers(load_config(name), tokenizer)
    corpus = ParallelCorpus.read({c: BUILTIN_CORPUS / f"test.{c}.json" for c in ("en", "hi")}, "en", limit=8)
    hashed, folder = tokenizer_hash(tokenizer, numbers), tmp_path_factory.mktemp("tokens")
    return FeatureSet.build(corpus, tokenizer, hashed, folder, WindowSettings(256, 32, 64), numbers)


@pytest.fixture(scope="module")
def batch(features: FeatureSet) -> Batch:
    """Six windows of different lengths, English questions about Hindi passages and the other way round."""
    ids = features.features([("en", "hi"), ("hi", "en")])
    found = collate(features, ids[np.argsort(features.lengths(ids))][:: len(ids) // 6])
    assert not found.mask.all()
    return found


@torch.inference_mode()
def logits(model: XLMForQuestionAnsweringSimple, batch: Batch) -> SpanLogits:
    return span_logits(model.eval(), batch)


def test_the_model_is_told_the_languages(tiny_xlm_folder: Path, batch: Batch) -> None:
    """Ours are the model's own logits with `langs` segment-wise; with other languages they are others."""
    model = load_span_model(str(tiny_xlm_folder))
    assert type(model) is XLMForQuestionAnsweringSimple
    found = logits(model, batch)
    hindi = torch.tensor([language == "hi" for language in batch.passage_languages])
    passage = torch.arange(batch.langs.shape[1]) >= torch.from_numpy(batch.passage_at)[:, None]
    langs = torch.where(passage == hindi[:, None], 4, 2)  # lang2id: hi 4, en 2
    with torch.inference_mode():
        raw = model(input_ids=batch.input_ids, attention_mask=batch.mask.long(), langs=langs)
        untold = model(input_ids=batch.input_ids, attention_mask=batch.mask.long())
        swapped = model(input_ids=batch.input_ids, attention_mask=batch.mask.long(), langs=6 - langs)
    for ours, name in zip(found, ("start_logits", "end_logits"), strict=True):
        assert (ours[~batch.mask] == -torch.inf).all()
        assert torch.equal(ours[batch.mask], raw[name][batch.mask])
        for other in (untold, swapped):
            assert (ours - other[name])[batch.mask].abs().min() > 1e-6


def test_padding_changes_nothing(tiny_xlm_folder: Path, features: FeatureSet, batch: Batch) -> None:
    model = load_span_model(str(tiny_xlm_folder))
    together = logits(model, batch)
    for n, id_ in enumerate(batch.windows.feature):
        alone = collate(features, np.array([id_]))
        assert alone.mask.all()
        for ours, theirs in zip(logits(model, alone), together, strict=True):
            assert torch.allclose(ours[0], theirs[n, : ours.shape[1]], atol=1e-5)


def test_saved_as_a_plain_hugging_face_model(tiny_xlm_folder: Path, batch: Batch, tmp_path: Path) -> None:
    model, tokenizer = load_span_model(str(tiny_xlm_folder)), load_tokenizer(str(tiny_xlm_folder))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"model.safetensors", "vocab.json", "merges.txt"}
    plain = AutoModelForQuestionAnswering.from_pretrained(tmp_path)
    assert type(plain) is XLMForQuestionAnsweringSimple
    assert plain.config.lang2id == tokenizer.lang2id
    for ours, theirs in zip(logits(plain, batch), logits(model, batch), strict=True):
        assert torch.equal(ours, theirs)
    again = load_tokenizer(str(tmp_path))
    assert type(again) is XLMTokenizer
    assert tokenizer_hash(again) == tokenizer_hash(tokenizer)


def test_a_new_head(tiny_xlm_folder: Path, batch: Batch, tmp_path: Path) -> None:
    """A bare encoder, saved in half precision, becomes a span model in float32."""
    shutil.copytree(tiny_xlm_folder, tmp_path, dirs_exist_ok=True)
    XLMModel(load_config(str(tiny_xlm_folder))).half().save_pretrained(tmp_path)
    model = load_span_model(str(tmp_path))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert logits(model, batch).start[batch.mask].isfinite().all()
    assert type(load_encoder(str(tmp_path))[0]) is XLMModel


def test_dropout(tiny_xlm_folder: Path, batch: Batch) -> None:
    model = load_span_model(str(tiny_xlm_folder), dropout=0.0)
    for ours, theirs in zip(span_logits(model.train(), batch), logits(model, batch), strict=True):
        assert torch.equal(ours, theirs)
    model = load_span_model(str(tiny_xlm_folder), dropout=0.25)
    assert {model.config.dropout, model.config.attention_dropout, model.transformer.dropout} == {0.25}
    assert {layer.dropout for layer in model.transformer.attentions} == {0.25}
    model.train()
    assert not torch.equal(span_logits(model, batch).start, span_logits(model, batch).start)


def test_what_training_asks_of_a_model(tiny_xlm_folder: Path) -> None:
    """Word vectors to freeze, a head apart from the encoder, matrices outside the embeddings."""
    model = load_span_model(str(tiny_xlm_folder))
    assert model.get_input_embeddings() is model.transformer.embeddings
    encoder = {id(parameter) for parameter in model.base_model.parameters()}
    head = {name for name, parameter in model.named_parameters() if id(parameter) not in encoder}
    assert head == {"qa_outputs.weight", "qa_outputs.bias"}
    # two layers of query, key, value, output (32 x 32) and of 32 x 128 and back; the head
    assert matrix_weights(model) == 2 * (4 * 32 * 32 + 2 * 32 * 128) + 2 * 32
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (2, 32)


def test_longest_input(tiny_xlm_folder: Path) -> None:
    name = str(tiny_xlm_folder)
    assert longest_input(load_config(name), load_tokenizer(name)) == 512
    folder, settings, _ = trained(name)
    assert (folder, settings.max_length) == (name, 384)


def edited(folder: Path, new: Path, name: str, **changes: object) -> str:
    """A copy of a model folder with other values in one of its JSON files; None: without."""
    shutil.copytree(folder, new)
    content = json.loads((new / name).read_text()) | changes
    (new / name).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return str(new)


def numbers(name: str) -> dict[str, int] | None:
    return language_numbers(load_config(name), load_tokenizer(name))


def test_where_the_numbers_of_languages_are_found(tiny_xlm_folder: Path, tmp_path: Path) -> None:
    known = {"ar": 0, "de": 1, "en": 2, "es": 3, "hi": 4, "vi": 5}
    assert numbers(str(tiny_xlm_folder)) == known
    by_tokenizer = edited(tiny_xlm_folder, tmp_path / "a", "config.json", lang2id=None)
    assert numbers(by_tokenizer) == known
    assert numbers(edited(tiny_xlm_folder, tmp_path / "b", "config.json", lang2id={"en": 1})) == {"en": 1}
    nowhere = edited(Path(by_tokenizer), tmp_path / "c", "tokenizer_config.json", lang2id=None, id2lang=None)
    with pytest.raises(
        ConfigError, match=r'c.: it has 6 language embeddings, .* Add "lang2id" to config.json'
    ):
        numbers(nowhere)


def test_models_without_language_embeddings(
    tiny_xlm_folder: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    assert numbers(str(tiny_model_folder)) is None
    assert numbers(edited(tiny_xlm_folder, tmp_path / "a", "config.json", use_lang_emb=False)) is None
    assert numbers(edited(tiny_xlm_folder, tmp_path / "b", "config.json", n_langs=1)) is None
    assert XLMConfig().use_lang_emb  # the default, of models of one language too


def test_its_vocabulary_cannot_be_trimmed(tiny_xlm_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"XLMTokenizer, a slow tokenizer .*leave model.trim unset"):
        prepare(str(tiny_xlm_folder), 10, ["a"], tmp_path / "models")


def test_without_sacremoses(tiny_xlm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    with pytest.raises(ConfigError, match=r'needs the package sacremoses, .* `pip install "lbkd\[xlm\]"`'):
        load_tokenizer(str(tiny_xlm_folder))
