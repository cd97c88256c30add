import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from lbkd.errors import ConfigError
from lbkd.translation import registry
from lbkd.translation.seq2seq import Seq2seq, _batches, _languages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Phrases = dict[str, list[str]]
MODELS = ("tiny_marian", "tiny_multilingual_marian", "tiny_m2m100")


@pytest.fixture(params=MODELS)
def folder(request: pytest.FixtureRequest) -> Path:
    """Each of the small models, all of which know English to Spanish."""
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.mark.parametrize("beams", [1, 3])
def test_what_was_learnt_is_said(folder: Path, phrases: Phrases, beams: int) -> None:
    translator = registry.create("seq2seq", {"model": str(folder), "beams": beams})
    translator.check("en", "es")
    assert translator.translate(phrases["en"], "en", "es") == phrases["es"]


@pytest.mark.parametrize("model", MODELS[1:])
def test_the_target_language_decides(model: str, phrases: Phrases, request: pytest.FixtureRequest) -> None:
    translator = Seq2seq(str(request.getfixturevalue(model)))
    assert translator.translate(phrases["en"], "en", "de") == phrases["de"]
    assert translator.translate(phrases["en"], "en", "es") == phrases["es"]


def test_the_name_may_depend_on_the_languages(tiny_marian: Path, phrases: Phrases) -> None:
    translator = Seq2seq(str(tiny_marian.parent / "opus-{source}-{target}"))
    assert translator.translate(phrases["en"], "en", "es") == phrases["es"]
    with pytest.raises(ConfigError, match="opus-en-de"):
        translator.check("en", "de")


@pytest.mark.parametrize("tokens", [1, 40])
def test_neither_batches_nor_order_matter(folder: Path, phrases: Phrases, tokens: int) -> None:
    texts = [*phrases["en"], "Who went?", phrases["en"][2].upper()]
    expected = Seq2seq(str(folder), beams=2).translate(texts, "en", "es")
    translator = Seq2seq(str(folder), beams=2, tokens=tokens)
    assert translator.translate(texts, "en", "es") == expected
    assert translator.translate(texts[::-1], "en", "es") == expected[::-1]
    assert [translator.translate([text], "en", "es")[0] for text in texts] == expected


def test_no_texts(tiny_marian: Path) -> None:
    assert Seq2seq(str(tiny_marian)).translate([], "en", "es") == []


def test_batches() -> None:
    # Lengths are rounded up to multiples of 16, at most to 40; 32 tokens are two texts of 16, or one of more.
    found = list(_batches([5, 40, 17, 3, 16, 41, 33], longest=40, tokens=32))
    assert found == [([0, 3], 16), ([4], 16), ([2], 32), ([1], 40), ([6], 40)]


def test_a_text_too_long_has_no_translation(folder: Path, phrases: Phrases) -> None:
    texts = [phrases["en"][0], " ".join(phrases["en"]) * 3, phrases["en"][1]]
    found = Seq2seq(str(folder)).translate(texts, "en", "es")
    assert found == [phrases["es"][0], "", phrases["es"][1]]


def test_special_tokens_in_a_text_are_text(folder: Path) -> None:
    translator = Seq2seq(str(folder), beams=1)
    loaded = translator._load("en", "es")
    model, tokenizer = loaded.model, loaded.tokenizer
    seen: list[torch.Tensor] = []
    model.get_encoder().register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs["input_ids"]), with_kwargs=True
    )
    translator.translate(["Who </s> <pad> went?"], "en", "es")
    [ids] = seen[0].tolist()
    assert ids.count(tokenizer.eos_token_id) == 1
    assert tokenizer.pad_token_id not in ids[: ids.index(tokenizer.eos_token_id)]


def bias(translator: Seq2seq, by: float) -> None:
    """Add to the logit of the end of the translation."""
    loaded = translator._load("en", "es")
    model, tokenizer = loaded.model, loaded.tokenizer
    model.final_logits_bias[0, tokenizer.eos_token_id] += by


@pytest.mark.parametrize("beams", [1, 2])
def test_a_translation_without_an_end_is_none(tiny_marian: Path, phrases: Phrases, beams: int) -> None:
    translator = Seq2seq(str(tiny_marian), beams=beams)
    bias(translator, -1e4)
    assert translator.translate(phrases["en"], "en", "es") == [""] * len(phrases["en"])


def test_empty_translations_are_passed_on(tiny_marian: Path, phrases: Phrases) -> None:
    translator = Seq2seq(str(tiny_marian))
    bias(translator, 1e4)
    assert translator.translate(phrases["en"], "en", "es") == [""] * len(phrases["en"])


def test_precision(tiny_marian: Path, phrases: Phrases) -> None:
    translator = Seq2seq(str(tiny_marian), precision="bf16")
    assert translator._load("en", "es").model.dtype == torch.bfloat16
    assert translator.translate(phrases["en"], "en", "es") == phrases["es"]


def test_fingerprint(tiny_marian: Path, tmp_path: Path) -> None:
    first = Seq2seq(str(tiny_marian)).fingerprint("en", "es")
    moved = tmp_path / "moved"
    shutil.copytree(tiny_marian, moved)
    assert Seq2seq(str(moved), tokens=7).fingerprint("en", "es") == first
    assert Seq2seq(str(moved), beams=2).fingerprint("en", "es") != first
    assert Seq2seq(str(moved), precision="bf16").fingerprint("en", "es") != first
    model = Seq2seq(str(moved))._load("en", "es").model
    with torch.no_grad():
        model.final_logits_bias += 1
    model.save_pretrained(moved)
    assert Seq2seq(str(moved)).fingerprint("en", "es") != first


# Languages.


def test_m2m100_is_told_both_languages(tiny_m2m100: Path) -> None:
    tokenizer = Seq2seq(str(tiny_m2m100))._load("en", "es").tokenizer
    assert _languages(tokenizer, "de", "ar") == ("", tokenizer.get_lang_id("ar"))
    assert tokenizer("a")["input_ids"][0] == tokenizer.get_lang_id("de")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("en", "es", ("eng_Latn", "spa_Latn")),
        ("zh", "ar", ("zho_Hans", "arb_Arab")),
        ("ko", "pbt_Arab", None),
    ],
)
def test_nllb(source: str, target: str, expected: tuple[str, str] | None) -> None:
    from transformers import NllbTokenizer

    tokenizer = NllbTokenizer(vocab={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "▁": 4, "a": 5})
    told, first = expected or ("kor_Hang", "pbt_Arab")
    assert _languages(tokenizer, source, target) == ("", tokenizer.convert_tokens_to_ids(first))
    assert tokenizer.convert_ids_to_tokens(tokenizer("a")["input_ids"])[0] == told


def test_mbart50() -> None:
    from transformers import MBart50Tokenizer

    tokenizer = MBart50Tokenizer()
    assert _languages(tokenizer, "en", "vi") == ("", tokenizer.lang_code_to_id["vi_VN"])
    assert tokenizer.convert_ids_to_tokens(tokenizer("a")["input_ids"])[0] == "en_XX"


# Errors.


@pytest.mark.parametrize("options", [{"beams": 0}, {"tokens": 0}, {"precision": "int8"}, {"beam": 2}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        registry.create("seq2seq", options)


@pytest.mark.parametrize(
    ("model", "source", "target", "said"),
    [
        ("tiny_m2m100", "en", "xx", "no language 'xx'; it has af, am, ar"),
        ("tiny_m2m100", "te", "en", "no language 'te'"),
        ("tiny_marian", "en", "de", "no language 'de'; it has es."),
        ("tiny_marian", "fr", "es", "no language 'fr'; it has en."),
        ("tiny_multilingual_marian", "en", "fr", "no language 'fr'; it has deu, spa."),
    ],
)
def test_languages_that_a_model_lacks(
    model: str, source: str, target: str, said: str, request: pytest.FixtureRequest
) -> None:
    folder = str(request.getfixturevalue(model))
    with pytest.raises(ConfigError) as caught:
        Seq2seq(folder).check(source, target)
    assert said in str(caught.value)
    assert folder in str(caught.value)


def test_no_such_model(tmp_path: Path) -> None:
    for name in (tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigError, match=r"cannot be loaded: .*safetensors"):
            Seq2seq(str(name)).check("en", "es")


def test_all_lines_of_the_reason_are_told() -> None:
    """A hub that cannot be reached is told in lines, the later ones with the remedy."""
    with pytest.raises(ConfigError, match=r"couldn't connect .* offline mode .* Name a folder"):
        Seq2seq("nobody/nothing").check("en", "es")


def test_pickled_weights_are_refused(tiny_marian: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_marian, folder)
    model = Seq2seq(str(folder))._load("en", "es").model
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="safetensors"):
        Seq2seq(str(folder)).check("en", "es")


def test_models_of_other_kinds(
    tiny_model_folder: Path, wordpiece_tokenizer: "PreTrainedTokenizerFast"
) -> None:
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Seq2seq(str(tiny_model_folder)).check("en", "es")
    with pytest.raises(ConfigError, match="has a BertTokenizer"):
        _languages(wordpiece_tokenizer, "en", "es")
