"""Small vocabularies trimmed, with their pieces worked out by hand."""

from pathlib import Path

import pytest
import torch
from families import SMALL, hidden
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    XLMRobertaTokenizer,
)

from lbkd.errors import ConfigError
from lbkd.models.load import load_encoder
from lbkd.models.trimming.trim import trim_vocabulary


def test_other_kinds_are_refused(tiny_xlm_folder: Path) -> None:
    model, tokenizer = load_encoder(str(tiny_xlm_folder))
    with pytest.raises(
        ConfigError, match=r"XLMTokenizer, a slow tokenizer .*leave model.trim unset; .*XLM-R"
    ):
        trim_vocabulary(model, tokenizer, ["text"], 10)
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(ConfigError, match=r"type WordLevel; .* Unigram, BPE, WordPiece. .* model.trim unset"):
        trim_vocabulary(encoder(2), words, ["text"], 10)


def test_a_tokenizer_of_another_model_is_refused() -> None:
    tokenizer = by_hand([("▁a", -1.0), ("▁b", -2.0)])
    with pytest.raises(ConfigError, match="piece number 6, but the model has 5 word vectors only"):
        trim_vocabulary(encoder(5), tokenizer, ["a"], 0)


def test_progress_is_told() -> None:
    told: list[int] = []
    tokenizer = by_hand([("▁a", -1.0), ("▁b", -2.0)])
    trim_vocabulary(encoder(7), tokenizer, ["a"] * 2500, 0, told.append)
    assert told == [1000, 2000, 2500]


def by_hand(pieces: list[tuple[str, float]]) -> PreTrainedTokenizerFast:
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    return XLMRobertaTokenizer(vocab=[*special, *pieces, ("<mask>", 0.0)])


def encoder(rows: int) -> BertModel:
    return BertModel(BertConfig(**SMALL, vocab_size=rows, pad_token_id=1)).eval()


def test_unigrams_by_hand() -> None:
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


def test_the_price_of_an_unknown_character_stays() -> None:
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


def test_a_token_that_was_added_later(tmp_path: Path) -> None:
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
def test_the_special_tokens_of_a_pair_move(frame: str) -> None:
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


def test_long_texts_are_read_to_their_end() -> None:
    """Even if the tokenizer's file says to cut them."""
    tokenizer = by_hand([("▁", -1.0), ("▁start", -2.0), ("▁end", -3.0), ("▁never", -4.0)])
    tokenizer.backend_tokenizer.enable_truncation(1)
    trim_vocabulary(encoder(9), tokenizer, ["start start start end"], frequent=0)
    assert {"▁start", "▁end"} <= tokenizer.get_vocab().keys()
