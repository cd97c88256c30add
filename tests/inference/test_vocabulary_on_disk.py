"""A tokenizer of the pieces that texts need cuts them as the whole one does."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from lbkd.inference.pieces import PIECES, Pieces, write_pieces

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def held(whole: Tokenizer, folder: Path) -> Pieces:
    whole.save(str(folder / "tokenizer.json"))
    write_pieces(folder / "tokenizer.json")
    return Pieces(folder / PIECES)


def assert_cut_alike(pieces: Pieces, whole: Tokenizer, texts: Sequence[str]) -> None:
    small, numbers = pieces.tokenizer(texts)
    found = small.encode_batch(list(texts), add_special_tokens=False)
    expected = whole.encode_batch(list(texts), add_special_tokens=False)
    for mine, theirs in zip(found, expected, strict=True):
        assert numbers[mine.ids].tolist() == theirs.ids
        assert mine.offsets == theirs.offsets
        assert mine.word_ids == theirs.word_ids


@pytest.mark.parametrize("split_special_tokens", [False, True])
def test_the_vocabulary_of_e5_small(
    e5_tokenizer: "PreTrainedTokenizerFast",
    kept_texts: tuple[str, ...],
    tmp_path: Path,
    split_special_tokens: bool,
) -> None:
    whole = Tokenizer.from_str(e5_tokenizer.backend_tokenizer.to_str())
    whole.no_truncation()
    whole.no_padding()
    pieces = held(whole, tmp_path)
    whole.encode_special_tokens = pieces.words.encode_special_tokens = split_special_tokens
    assert_cut_alike(pieces, whole, kept_texts)
    letters = sorted({letter for text in kept_texts for letter in text})
    rng = random.Random(1)
    strange = ["".join(rng.choices(letters, k=rng.randrange(1, 40))) for _ in range(500)]
    strange += ["<mask> a<s>b </s><unk>", "\0\0a\0", "𝔘\u0301 \u200b", "x" * 300, "日本語" * 100, ""]
    for text in strange[-60:]:
        assert_cut_alike(pieces, whole, [text])
    assert_cut_alike(pieces, whole, strange)


@pytest.mark.parametrize("by_bytes", [False, True])
def test_odd_vocabularies(tmp_path: Path, by_bytes: bool) -> None:
    """Pieces that are equal, very long, or end in a zero byte; bytes; added tokens behind the vocabulary."""
    byte_pieces = [(f"<0x{n:02X}>", -9.0) for n in range(256)]
    parts: list[tuple[str, float]] = [("a", -1.0), ("b", -2.5), ("ab", -3.4), ("a", -1.5), ("é" * 40, -2.0)]
    parts += [("b\0", -1.0), ("?", -11.0), ("▁", -2.0), ("▁a", -2.2), *byte_pieces]
    whole = Tokenizer(models.Unigram(parts, 6, by_bytes))
    whole.pre_tokenizer = pre_tokenizers.Metaspace()
    whole.normalizer = normalizers.NFKC()
    whole.add_special_tokens(["[CLS]", "a b"])
    whole.add_tokens(["new"])
    pieces = held(whole, tmp_path)
    texts = ["ab ba aab", "b\0a b\0", "é" * 81, "zé z", "new newab [CLS]a a b?", "a b", "ﬁ", "", " "]
    assert_cut_alike(pieces, whole, texts)
    for text in texts:
        assert_cut_alike(pieces, whole, [text])


def test_memory_holds_what_texts_need(e5_tokenizer: "PreTrainedTokenizerFast", tmp_path: Path) -> None:
    pieces = held(e5_tokenizer.backend_tokenizer, tmp_path)
    small, numbers = pieces.tokenizer(["the river"])
    assert small.get_vocab_size() == len(numbers) < 60 < e5_tokenizer.backend_tokenizer.get_vocab_size() / 50
    assert np.unique(numbers).size == len(numbers)


@pytest.mark.parametrize("model", [models.WordLevel({"a": 0}, "a"), models.Unigram([("a", -1.0)])])
def test_other_tokenizers_have_no_such_file(tmp_path: Path, model: Any) -> None:
    Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
    write_pieces(tmp_path / "tokenizer.json")
    assert not (tmp_path / PIECES).exists()
    assert json.loads((tmp_path / "tokenizer.json").read_text())["model"]
