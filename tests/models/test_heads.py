"""Heads on encoders of families that have no class for question answering in transformers."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from encoders import OWN, config_of, saved
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    PreTrainedModel,
)

from lbkd.errors import ConfigError
from lbkd.models.flops import matrix_weights
from lbkd.models.heads import OwnHead, is_own, new_span_model, span_class
from lbkd.models.load import has_span_head, load_config, load_span_model
from lbkd.models.masked import MaskedSpanModel
from lbkd.models.span import HiddenSpanModel
from lbkd.planning.model_size import ModelSize, model_size_of

IDS = torch.arange(4, 40).view(2, 18)
MASK = torch.ones_like(IDS)


def hidden(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.base_model(IDS, attention_mask=MASK).last_hidden_state
    return found


def start(model: PreTrainedModel, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(ids, attention_mask=torch.ones_like(ids)).start_logits
    return found


@pytest.mark.parametrize("kind", OWN)
def test_a_head_on_an_encoder(kind: str, tmp_path: Path) -> None:
    """Two neurons on the encoder's last hidden states; once saved, transformers alone computes the same."""
    encoder = saved(kind, tmp_path / "encoder")
    model = load_span_model(str(tmp_path / "encoder")).eval()
    torch.testing.assert_close(hidden(model), hidden(encoder))
    model.save_pretrained(tmp_path / "saved")
    config = load_config(str(tmp_path / "saved"))
    assert has_span_head(config)
    assert is_own(json.loads((tmp_path / "saved" / "config.json").read_text()))
    plain = AutoModel.from_pretrained(tmp_path / "saved").eval()
    weights = load_file(tmp_path / "saved" / "model.safetensors")
    logits = hidden(plain) @ weights["qa_outputs.weight"].T + weights["qa_outputs.bias"]
    torch.testing.assert_close(start(model), logits[..., 0])
    for again in (load_span_model(str(tmp_path / "saved")), model_of(tmp_path / "saved")):
        assert torch.equal(start(again.eval()), start(model))


def model_of(folder: Path) -> PreTrainedModel:
    """What trimming loads."""
    model = span_class(load_config(str(folder))).from_pretrained(folder)
    assert isinstance(model, OwnHead)
    return model


@pytest.mark.parametrize("kind", OWN)
def test_sizes_and_layers(kind: str, tmp_path: Path) -> None:
    saved(kind, tmp_path)
    model = load_span_model(str(tmp_path)).eval()
    size = ModelSize.of(model)
    assert model_size_of(str(tmp_path)) == size
    assert size.gated
    assert size.norms == {"gemma2": 4, "gemma3_text": 6}.get(kind, 2)
    matrices = [p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    assert matrix_weights(model) == sum(matrices)
    small = load_span_model(str(tmp_path), layers=(0, 2)).eval()
    assert small.config.num_hidden_layers == 2
    assert not torch.allclose(start(small), start(model))


def test_gemma_sees_what_its_config_says(tmp_path: Path) -> None:
    """Decoders do not see what follows; EmbeddingGemma's config says that it does."""
    other = IDS.clone()
    other[:, -1] += 1
    for both in (False, True):
        saved("gemma3_text", tmp_path / str(both), use_bidirectional_attention=both)
        model = load_span_model(str(tmp_path / str(both))).eval()
        apart = (start(model) - start(model, other)).abs()
        assert (apart[:, 0].max() > 1e-4) == both
        assert apart[:, -1].min() > 1e-4


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_decoders_keep_their_weights(kind: str, tmp_path: Path) -> None:
    """Their class for question answering has other names for them, so that they were random."""
    for head in (AutoModel, AutoModelForCausalLM):
        decoder = saved(kind, tmp_path / head.__name__, head)
        model = load_span_model(str(tmp_path / head.__name__)).eval()
        torch.testing.assert_close(hidden(model), hidden(decoder))
    model.save_pretrained(tmp_path / "saved")
    plain = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "saved").eval()
    assert torch.equal(start(plain), start(model))


def test_weights_that_are_not_there_are_told(tmp_path: Path) -> None:
    saved("bert", tmp_path / "bert")
    saved("llama", tmp_path / "llama", AutoModelForCausalLM)
    head = saved("bert", tmp_path / "head", AutoModelForQuestionAnswering)
    for name, lost in (("bert", "layer.2."), ("llama", "layers.1."), ("head", "qa_outputs.")):
        file = tmp_path / name / "model.safetensors"
        save_file({key: t for key, t in load_file(file).items() if lost not in key}, file, {"format": "pt"})
        with pytest.raises(ConfigError, match=rf"lack \d+ tensors of a .*ForQuestionAnswering.*{lost}"):
            load_span_model(str(tmp_path / name))
    assert type(head).__name__ == "BertForQuestionAnswering"


@pytest.mark.parametrize("kind", ["eurobert", "nomic_bert", "gte"])
def test_masked_phrases_beside(kind: str, tmp_path: Path) -> None:
    """LAKM's head is the family's own, on the same encoder."""
    language = saved(kind, tmp_path, AutoModelForMaskedLM)
    model = MaskedSpanModel(load_span_model(str(tmp_path)), AutoModelForMaskedLM.from_pretrained(tmp_path))
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    with torch.inference_mode():
        _, _, tokens = model.eval()(inputs, inputs, torch.tensor([3, 20]))
        right = language(**inputs).logits.flatten(0, 1)[[3, 20]]
    torch.testing.assert_close(tokens, right)


@pytest.mark.parametrize("kind", ["eurobert", "modernbert", "deberta-v2"])
def test_hidden_states_beside(kind: str) -> None:
    """Those of the encoder, whatever the family's head tells; the logits stay."""
    model = new_span_model(config_of(kind)).eval()
    with torch.inference_mode():
        inputs = {"input_ids": IDS, "attention_mask": MASK}
        begins, _, states = HiddenSpanModel(model, [32])(inputs)
        assert torch.equal(states, model.base_model(**inputs)[0])
    assert states.shape == (2, 18, 32)
    assert torch.equal(begins, start(model))


def test_what_has_no_encoder_of_text_is_refused() -> None:
    for kind in ("gemma3", "marian", "wav2vec2"):
        with pytest.raises(ConfigError, match=rf"no class for question answering for the type '{kind}'"):
            new_span_model(AutoConfig.for_model(kind))


CODE = """
from transformers import EuroBertConfig, EuroBertModel

class RemoteConfig(EuroBertConfig):
    model_type = "remote-eurobert"

class RemoteModel(EuroBertModel):
    config_class = RemoteConfig
"""


def test_an_encoder_with_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code goes with the saved model."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    from lbkd.models import load

    encoder = saved("eurobert", tmp_path / "remote")
    (tmp_path / "remote" / "remote.py").write_text(CODE)
    file = tmp_path / "remote" / "config.json"
    config = json.loads(file.read_text()) | {
        "model_type": "remote-eurobert",
        "architectures": ["RemoteModel"],
    }
    config["auto_map"] = {"AutoConfig": "remote.RemoteConfig", "AutoModel": "remote.RemoteModel"}
    file.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="Python code of its own"):
        load_span_model(str(tmp_path / "remote"))
    model = load_span_model(str(tmp_path / "remote"), trust=True).eval()
    torch.testing.assert_close(hidden(model), hidden(encoder))
    monkeypatch.setattr(load, "read_json", lambda file: {})
    load.save(model, _NoTokenizer(), tmp_path / "saved")  # type: ignore[arg-type]
    shutil.rmtree(tmp_path / "remote")
    for again in (
        load_span_model(str(tmp_path / "saved"), trust=True),
        span_class(load_config(str(tmp_path / "saved"), True), True).from_pretrained(tmp_path / "saved"),
    ):
        assert torch.equal(start(again.eval()), start(model))


class _NoTokenizer:
    def save_pretrained(self, folder: Path) -> None:
        """Saves nothing."""
