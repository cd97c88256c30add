"""Vocabularies that were cut for training come back when a model is saved."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from lbkd.features.batches import Batch
from lbkd.models import e5_small
from lbkd.models.load import load_encoder, load_span_model, load_tokenizer, save
from lbkd.models.prepare import prepare
from lbkd.models.span import SpanLogits, span_logits
from lbkd.models.trimming.probes import pieces_per_character, price_of_cut
from lbkd.models.trimming.restore import cut_again, restore_folder, restore_vocabulary
from lbkd.models.trimming.trim import trim_vocabulary

MakeBatch = Callable[[str], Batch]


def train(model: PreTrainedModel, batch: Batch, *, frozen: bool) -> None:
    """Three steps of gradient descent that move every weight, but for frozen word vectors."""
    model.get_input_embeddings().requires_grad_(not frozen)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for _ in range(3):
        logits = span_logits(model, batch)
        loss = torch.nn.functional.cross_entropy(logits.start, batch.starts)
        (loss + torch.nn.functional.cross_entropy(logits.end, batch.ends)).backward()
        with torch.no_grad():
            for weight in weights:
                if weight.grad is not None:
                    weight -= 0.1 * weight.grad
                    weight.grad = None


@torch.inference_mode()
def outputs(model: PreTrainedModel, batch: Batch) -> SpanLogits:
    return span_logits(model.eval(), batch)


def equal(one: SpanLogits, other: SpanLogits) -> bool:
    return torch.equal(one.start, other.start) and torch.equal(one.end, other.end)


@pytest.mark.parametrize("frozen", [True, False])
def test_same_answers_and_all_other_rows(
    family: Path, read_texts: list[str], tmp_path: Path, batch_of: MakeBatch, frozen: bool
) -> None:
    """Of every kind of vocabulary, bit for bit: the texts' logits, and the rows that no text uses."""
    whole = load_span_model(str(family))
    model, tokenizer = deepcopy(whole), load_tokenizer(str(family))
    kept = np.array(trim_vocabulary(model, tokenizer, read_texts, 10))
    save(model, tokenizer, tmp_path / "cut")
    cut, uncut = batch_of(str(tmp_path / "cut")), batch_of(str(family))
    assert not torch.equal(cut.input_ids, uncut.input_ids)
    model.eval()
    train(model, cut, frozen=frozen)
    learnt, rows = outputs(model, cut), model.get_input_embeddings().weight.detach().clone()

    restore_vocabulary(model, whole, kept)
    assert equal(outputs(model, uncut), learnt)
    restored = model.get_input_embeddings().weight.detach()
    original = whole.get_input_embeddings().weight.detach()
    changed = (restored != original).any(1)
    assert restored.shape == original.shape
    assert not changed[np.setdiff1d(np.arange(len(original)), kept)].any()
    assert bool(changed.any()) is not frozen
    assert torch.equal(restored[kept], rows)
    assert model.config.vocab_size == whole.config.vocab_size
    assert model.config.pad_token_id == whole.config.pad_token_id


@pytest.fixture
def small_e5(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model under the name of e5-small."""
    monkeypatch.setattr(e5_small, "load", lambda: load_encoder(str(tiny_model_folder)))
    return tiny_model_folder


def test_a_prepared_folder_knows_what_was_cut(small_e5: Path, tmp_path: Path, batch_of: MakeBatch) -> None:
    encoder = prepare("e5-small", None, ["the wheel"], tmp_path / "models")
    model = load_span_model(encoder)
    cut = model.config.vocab_size
    save(model, load_tokenizer(encoder), tmp_path / "run")
    restore_folder(tmp_path / "run", encoder)
    assert len(load_tokenizer(str(tmp_path / "run"))) == 4000
    again = load_span_model(str(tmp_path / "run"))
    assert again.config.vocab_size == 4000
    cut_again(again, encoder)
    assert again.config.vocab_size == cut
    batch = batch_of(encoder)
    assert equal(outputs(again, batch), outputs(model, batch))


def test_a_cut_for_good_stays_and_is_told(small_e5: Path, tmp_path: Path) -> None:
    told: list[str] = []
    encoder = prepare("e5-small", 100, ["the wheel"], tmp_path / "models", note=told.append)
    cutting, price = told
    assert cutting == "e5-small: cutting the vocabulary to the pieces of the texts"
    assert "whole -> cut vocabulary: " in price and " de 0." in price
    model = load_span_model(encoder)
    cut = model.config.vocab_size
    save(model, load_tokenizer(encoder), tmp_path / "run")
    restore_folder(tmp_path / "run", encoder)
    assert load_span_model(str(tmp_path / "run")).config.vocab_size == cut < 4000


def test_pieces_per_character_by_hand(tiny_model_folder: Path) -> None:
    found = pieces_per_character(load_tokenizer(str(tiny_model_folder)))
    assert len(found) == 15
    whole, cut = {"en": 0.25, "el": 0.3, "th": 0.4}, {"en": 0.26, "el": 0.9, "th": 0.5}
    assert price_of_cut(whole, cut).startswith(
        "Pieces per character, whole -> cut vocabulary: el 0.30 -> 0.90, th 0.40 -> 0.50. In these languages"
    )
    assert price_of_cut(whole, whole) == (
        "The cut vocabulary reads en, el, th in the pieces that the whole one has."
    )
