"""Vocabularies trimmed together with their models; which pieces stay is tested in test_pieces.py."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from families import SMALL, hidden
from tokenizers import Tokenizer
from transformers import (
    BartConfig,
    BartForQuestionAnswering,
    BertConfig,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)

from lbkd.features.batches import Batch
from lbkd.features.tokens import tokenizer_hash
from lbkd.models.load import load_encoder, load_span_model, load_tokenizer, save
from lbkd.models.prepare import prepare
from lbkd.models.span import span_logits
from lbkd.models.trimming.trim import trim_vocabulary

MakeBatch = Callable[[str], Batch]


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


def test_a_trimmed_span_model_keeps_its_head_and_its_logits(
    family: Path, read_texts: list[str], tmp_path: Path, batch_of: MakeBatch
) -> None:
    """Of every kind of vocabulary, read anew from its folder; the ids in its files are the new ones."""
    trimmed = prepare(str(family), 10, read_texts, tmp_path / "models")
    assert Path(trimmed).name.startswith(f"{family.name}-")
    model, smaller = load_span_model(str(family)).eval(), load_span_model(trimmed).eval()
    assert smaller.config.vocab_size < 0.9 * model.config.vocab_size
    weights, fewer = model.state_dict(), smaller.state_dict()
    different = {name for name in weights if not torch.equal(weights[name], fewer[name])}
    assert len(different) == 1 and "word_embeddings" in different.pop()
    batch, same = batch_of(str(family)), batch_of(trimmed)
    assert not torch.equal(batch.input_ids, same.input_ids)
    assert torch.equal(batch.mask, same.mask)
    with torch.inference_mode():
        ours, theirs = span_logits(smaller, same), span_logits(model, batch)
    assert torch.equal(ours.start, theirs.start) and torch.equal(ours.end, theirs.end)

    whole, cut = load_tokenizer(str(family)), load_tokenizer(trimmed)
    assert len(cut) == smaller.config.vocab_size < len(whole)
    assert sorted(cut.get_vocab().values()) == [*range(len(cut))]
    assert cut.special_tokens_map == whole.special_tokens_map
    assert cut("Nam quis?").tokens()[0] == whole("Nam quis?").tokens()[0]
    assert smaller.config.pad_token_id == cut.pad_token_id
    assert tokenizer_hash(cut) != tokenizer_hash(whole)


def test_a_changed_folder_is_prepared_anew(family: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(family, tmp_path / "model")
    first = prepare(str(folder), 10, ["text"], tmp_path / "models")
    assert prepare(str(folder), 10, ["text"], tmp_path / "models") == first
    (folder / "more.txt").write_text("more")
    assert prepare(str(folder), 10, ["text"], tmp_path / "models") != first


def test_ids_in_the_config_are_the_new_ones(
    roberta_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """Also those that lie behind pieces which go, lists, and one that is no special token's."""
    backend = Tokenizer.from_str(roberta_tokenizer.backend_tokenizer.to_str())
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="<mask>", unk_token="<unk>")
    tokenizer.add_special_tokens(
        {"bos_token": "<b>", "eos_token": "<e>", "pad_token": "<p>", "sep_token": "<s>"}
    )
    bos, eos, pad = (tokenizer.convert_tokens_to_ids(token) for token in ("<b>", "<e>", "<p>"))
    ordinary = len(roberta_tokenizer) - 1
    config = BertConfig(**SMALL, vocab_size=len(tokenizer), pad_token_id=pad, bos_token_id=bos)
    config.eos_token_id = [eos, bos]
    config.decoder_start_token_id, config.mask_token_id = ordinary, tokenizer.mask_token_id
    config.sep_token_id = 10**6  # no row of the model
    model = BertModel(config).eval()
    before = model.get_input_embeddings().weight.detach().clone()
    former = tokenizer.convert_ids_to_tokens(ordinary)
    kept = trim_vocabulary(model, tokenizer, ["a text"], 0)
    save(model, tokenizer, tmp_path)
    model, tokenizer = load_encoder(str(tmp_path))
    assert len(kept) == len(tokenizer) == model.config.vocab_size < 300
    of = tokenizer.convert_tokens_to_ids
    assert (of("<b>"), of("<e>"), of("<p>")) != (bos, eos, pad)
    config = model.config
    assert (config.bos_token_id, config.pad_token_id, config.eos_token_id) == (
        *(of("<b>"), of("<p>")),
        [of("<e>"), of("<b>")],
    )
    assert (config.mask_token_id, config.decoder_start_token_id) == (of("<mask>"), of(former))
    assert config.sep_token_id == 10**6
    embeddings = model.get_input_embeddings()
    assert embeddings.padding_idx == of("<p>")
    assert torch.equal(embeddings.weight, before[kept])


def test_positions_are_counted_as_before(roberta_tokenizer: PreTrainedTokenizerFast) -> None:
    """RoBERTa counts them from the padding's id on, so that this must stay where it is."""
    state = json.loads(roberta_tokenizer.backend_tokenizer.to_str())["model"]
    order = sorted(state["vocab"], key=state["vocab"].__getitem__)
    order = [*order[800:810], *order[:800], *order[810:]]
    tokenizer = RobertaTokenizer(
        vocab={piece: n for n, piece in enumerate(order)}, merges=[(a, b) for a, b in state["merges"]]
    )
    assert tokenizer.pad_token_id == 11
    config = RobertaConfig(**SMALL, vocab_size=len(tokenizer), pad_token_id=11, max_position_embeddings=64)
    model = RobertaModel(config).eval()
    before = hidden(model, tokenizer, ["A text."])
    trim_vocabulary(model, tokenizer, ["A text."], 0)
    assert tokenizer.pad_token_id == model.config.pad_token_id == 11
    assert len(tokenizer) < 300
    assert torch.equal(hidden(model, tokenizer, ["A text."])[0], before[0])


def test_word_vectors_that_several_parts_share(
    roberta_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """BART's encoder and decoder."""
    torch.manual_seed(1)
    size = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "init_std": 0.5}
    heads = {
        f"{side}_{what}": 4 for side in ("encoder", "decoder") for what in ("attention_heads", "ffn_dim")
    }
    tokenizer = RobertaTokenizer.from_pretrained(_saved(roberta_tokenizer, tmp_path / "tokenizer"))
    model = BartForQuestionAnswering(BartConfig(**size, **heads, vocab_size=len(tokenizer))).eval()

    def logits(model: PreTrainedModel, tokenizer: Any) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = model(**tokenizer("A text.", return_tensors="pt")).start_logits
            return found

    before = logits(model, tokenizer)
    trim_vocabulary(model, tokenizer, ["A text."], 0)
    save(model, tokenizer, tmp_path / "trimmed")
    again = load_span_model(str(tmp_path / "trimmed")).eval()
    words = [again.model.shared.weight, again.model.encoder.embed_tokens.weight]
    assert len({tensor.data_ptr() for tensor in (*words, again.model.decoder.embed_tokens.weight)}) == 1
    assert len(words[0]) == len(tokenizer) < 300
    assert torch.equal(logits(again, load_tokenizer(str(tmp_path / "trimmed"))), before)


def _saved(tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    tokenizer.save_pretrained(folder)
    return folder
