"""Students with some of an encoder's layers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForQuestionAnswering, PreTrainedModel

from lbkd.errors import ConfigError
from lbkd.models.layers import chosen_layers
from lbkd.models.load import load_span_model
from lbkd.settings import load_settings

SMALL = {"vocab_size": 50, "num_hidden_layers": 4, "hidden_size": 32, "intermediate_size": 40}
HEADS = {"num_attention_heads": 2, "max_position_embeddings": 64}
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": SMALL | HEADS,
    "XLMRoberta": SMALL | HEADS,
    "DistilBert": {"vocab_size": 50, "n_layers": 4, "dim": 32, "hidden_dim": 40, "n_heads": 2},
    "Electra": SMALL | HEADS | {"embedding_size": 32},
    "ModernBert": SMALL | HEADS | {"pad_token_id": 0, "global_attn_every_n_layers": 2},
    "DebertaV2": SMALL | HEADS | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "XLM": {"vocab_size": 50, "n_layers": 4, "emb_dim": 32, "n_heads": 2},
}


def saved(family: str, folder: Path) -> PreTrainedModel:
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family])
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model: PreTrainedModel = AutoModelForQuestionAnswering.from_config(config)
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize(
    ("wanted", "there", "kept"),
    [
        (6, 12, [0, 2, 4, 7, 9, 11]),
        (3, 12, [0, 6, 11]),  # 5.5 is rounded to the even number
        (1, 12, [0]),
        (4, 4, [0, 1, 2, 3]),
        ((1, 3), 4, [1, 3]),
    ],
)
def test_which_layers(wanted: Any, there: int, kept: list[int]) -> None:
    assert chosen_layers(wanted, there) == kept


@pytest.mark.parametrize("wanted", [0, 5, (0, 4), (-1, 2), (2, 1), (1, 1)])
def test_layers_that_there_are_not(wanted: Any) -> None:
    with pytest.raises(ConfigError, match=r"^model.layers = "):
        chosen_layers(wanted, 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_saved_with_fewer_layers(family: str, tmp_path: Path) -> None:
    """The layers that are left compute what they did, also once saved and loaded by transformers alone."""
    saved(family, tmp_path / "whole")
    small = load_span_model(str(tmp_path / "whole"), layers=(0, 2)).eval()
    whole = load_span_model(str(tmp_path / "whole")).eval()
    ids, skipped = torch.arange(4, 20)[None], []
    for module in whole.base_model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == 4:
            skipped += [module[1], module[3]]
    small.save_pretrained(tmp_path / "small")
    again = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "small").eval()
    assert again.config.num_hidden_layers == 2
    with torch.no_grad():
        torch.testing.assert_close(again(ids).start_logits, small(ids).start_logits)
        assert not torch.allclose(whole(ids).start_logits, small(ids).start_logits)
        if family == "Bert":  # a layer that adds nothing to its input, and normalizes what is normal
            for layer in skipped:
                layer.forward = lambda hidden, *_, **__: hidden
            torch.testing.assert_close(whole(ids).start_logits, small(ids).start_logits)


def test_the_first_layer_of_some_families_stays(tmp_path: Path) -> None:
    saved("ModernBert", tmp_path)
    with pytest.raises(ConfigError, match="= 1, 2: what is left is no model of the type 'modernbert'"):
        load_span_model(str(tmp_path), layers=(1, 2))


def test_the_setting(tmp_path: Path) -> None:
    for text, value in (("6", 6), ("0, 5,11", (0, 5, 11)), ([0, 2], (0, 2))):
        assert load_settings({"model.layers": text}, tmp_path).model.layers == value
    with pytest.raises(ConfigError, match="model.layers"):
        load_settings({"model.layers": "few"}, tmp_path)
