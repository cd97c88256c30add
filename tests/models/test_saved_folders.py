"""Fields of saved folders that transformers 4, which has no class TokenizersBackend, must understand."""

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from lbkd.models.load import load_encoder, load_tokenizer, save

UNKNOWN_TO_4 = {"TokenizersBackend", "SentencePieceBackend", "PythonBackend"}


def test_every_family(family: Path, tmp_path: Path) -> None:
    model, tokenizer = load_encoder(str(family))
    save(model, tokenizer, tmp_path / "saved")
    about = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())
    assert about["tokenizer_class"] not in UNKNOWN_TO_4
    assert not isinstance(about.get("extra_special_tokens"), list)
    again = load_tokenizer(str(tmp_path / "saved"))
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    assert again.special_tokens_map == tokenizer.special_tokens_map


@pytest.mark.parametrize("extra", [[], ["<pad2>", "<sep2>"]])
def test_a_generic_tokenizer(tiny_model_folder: Path, tmp_path: Path, extra: list[str]) -> None:
    """The class of e5-small's tokenizer, with special tokens of its own."""
    model, bert = load_encoder(str(tiny_model_folder))
    generic = PreTrainedTokenizerFast(
        tokenizer_object=bert.backend_tokenizer, additional_special_tokens=extra, **bert.special_tokens_map
    )
    save(model, generic, tmp_path)
    about = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert about["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert about.get("additional_special_tokens", []) == extra
    again = load_tokenizer(str(tmp_path))
    assert again("why <pad2> not").input_ids == generic("why <pad2> not").input_ids
    assert again.all_special_tokens == generic.all_special_tokens
