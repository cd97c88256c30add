"""Rows that were cut for training come back, so that a saved model has its encoder's whole vocabulary.

Training with a cut vocabulary saves memory and time. Saved with the whole vocabulary, a model answers in all
languages of its encoder; texts that the cut vocabulary covers get the same vectors and answers, bit for bit.
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from lbkd.features.tokens import Ints
from lbkd.models import e5_small
from lbkd.models.load import load_encoder, save
from lbkd.models.trimming.trim import cut_word_vectors, token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel

KEPT = "kept.npy"
"""File of a prepared encoder whose trained models are saved whole: former ids of its pieces, (V,) int64."""


def kept_pieces(encoder: str) -> Ints | None:
    """Ids in the whole vocabulary, by id in the prepared encoder; None for encoders that are not restored."""
    file = Path(encoder) / KEPT
    found: Ints | None = np.load(file) if file.exists() else None
    return found


def restore_folder(folder: Path, encoder: str) -> None:
    """Give the model in `folder`, trained from a prepared encoder, its whole vocabulary; else do nothing."""
    kept = kept_pieces(encoder)
    if kept is None:
        return
    model, _ = load_encoder(str(folder))
    whole, tokenizer = e5_small.load()
    restore_vocabulary(model, whole, kept)
    save(model, tokenizer, folder)


def restore_vocabulary(model: "PreTrainedModel", whole: "PreTrainedModel", kept: Ints) -> None:
    """Put the word vectors that were cut back into a model, in place.

    Args:
        model: trained with a cut vocabulary, its word vectors frozen or not.
        whole: the encoder before the cut.
        kept: (V,) ids in the whole vocabulary of the model's V pieces.
    """
    before = cast(torch.nn.Embedding, whole.get_input_embeddings())
    rows = before.weight.detach().clone()
    rows[torch.from_numpy(kept)] = cast(torch.Tensor, model.get_input_embeddings().weight).detach()
    model.resize_token_embeddings(len(rows), mean_resizing=False)
    words = cast(torch.nn.Embedding, model.get_input_embeddings())
    words.weight.data.copy_(rows)
    words.padding_idx = before.padding_idx
    for name in token_ids(whole.config):
        setattr(model.config, name, getattr(whole.config, name))


def cut_again(model: "PreTrainedModel", encoder: str) -> None:
    """Cut the vocabulary of a restored model to that of its prepared encoder, in place; else do nothing.

    The model then reads the token ids that it was trained with, and computes the same.
    """
    kept = kept_pieces(encoder)
    if kept is not None:
        cut_word_vectors(model, {old: new for new, old in enumerate(kept.tolist())})
