import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import torch
from families import SMALL
from transformers import (
    AutoConfig,
    BertConfig,
    BertModel,
    CanineConfig,
    CanineForQuestionAnswering,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    XLNetConfig,
)

from lbkd.errors import ConfigError
from lbkd.features.batches import Batch
from lbkd.models import e5_small
from lbkd.models.load import load_config, load_encoder, load_span_model, load_tokenizer, longest_input
from lbkd.models.prepare import prepare
from lbkd.models.span import span_logits

MakeBatch = Callable[[str], Batch]


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
    assert monotonic() - began < 30


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


def test_prepared_once(e5_small: Path, kept_texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("lbkd.models.e5_small.load", load)
    assert prepare("e5-small", None, kept_texts, e5_small.parent) == str(e5_small)
    assert prepare("e5-small", None, iter(kept_texts), e5_small.parent) == str(e5_small)
    with pytest.raises(AssertionError, match="made again"):
        prepare("e5-small", 20_000, kept_texts, e5_small.parent)


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


def test_xlnet_has_no_limit_of_positions(tiny_model_folder: Path) -> None:
    """Its config says -1, which was told as the most tokens that the model reads."""
    config = XLNetConfig()
    assert config.max_position_embeddings == -1
    tokenizer = load_tokenizer(str(tiny_model_folder))
    tokenizer.model_max_length = 4096
    assert longest_input(config, tokenizer) == 4096


def test_a_model_without_word_vectors_is_refused(tmp_path: Path) -> None:
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    CanineForQuestionAnswering(CanineConfig(**shape, num_hash_buckets=64)).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="canine has no word vectors, .* such as XLM-R"):
        load_span_model(str(tmp_path))


def test_errors_of_several_lines_are_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("what is wrong:\n  the first thing\n\n  the second thing")

    monkeypatch.setattr(AutoConfig, "from_pretrained", refuse)
    with pytest.raises(ConfigError, match="what is wrong: the first thing the second thing Name a folder"):
        load_config("some/model")
