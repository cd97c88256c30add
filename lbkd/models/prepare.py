"""Encoders made ready for training: a vocabulary is cut once, and kept in a folder."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from lbkd.models import e5_small
from lbkd.models.load import load_encoder, save
from lbkd.models.trimming.probes import pieces_per_character, price_of_cut
from lbkd.models.trimming.restore import KEPT
from lbkd.models.trimming.trim import trim_vocabulary
from lbkd.workspace import damaged, fingerprint, folder_hash, replacing, write_manifest

_FORMAT = 1
"""Version of prepared folders."""
FREQUENT_PIECES = 20_000
"""Default number of frequent pieces that trimming keeps beside the pieces that texts use."""


def prepare(
    name: str,
    trim: int | None,
    texts: Iterable[str],
    folder: Path,
    *,
    trust: bool = False,
    key: str = "",
    note: Callable[[str], None] = lambda message: None,
) -> str:
    """The folder or hub id to load model `name` from; a prepared folder is made once.

    The vocabulary of `e5-small` is cut even without `trim`, for training alone: models that are trained from
    the prepared folder are saved with the whole vocabulary (see `trimming.restore`).

    Args:
        name: a folder, a hub id, or `e5-small`.
        trim: number of frequent pieces to keep beside the pieces of `texts`, for good; None: keep all pieces.
        texts: texts that the model must read without loss.
        folder: the folder of all prepared models.
        trust: run Python code that comes with a hub model.
        key: fingerprint of the texts; with a key, texts are read only if the model is not prepared yet.
        note: hears that the vocabulary is being cut, and what that costs.
    """
    if name != e5_small.NAME and trim is None:
        return name
    if not key:
        texts = list(texts)
        key = fingerprint(texts)
    content = folder_hash(Path(name)) if Path(name).is_dir() else name
    place = folder / f"{Path(name).name}-{fingerprint([_FORMAT, content, trim, key])}"
    if damaged(place):
        why = "to the pieces of the texts" if trim is not None else "for training alone"
        note(f"{name}: cutting the vocabulary {why}")
        model, tokenizer = e5_small.load() if name == e5_small.NAME else load_encoder(name, trust)
        before = pieces_per_character(tokenizer)
        kept = trim_vocabulary(model, tokenizer, texts, FREQUENT_PIECES if trim is None else trim)
        with replacing(place) as new:
            save(model, tokenizer, new)
            if trim is None:
                np.save(new / KEPT, np.array(kept))
            write_manifest(new)
        if trim is not None:
            note(price_of_cut(before, pieces_per_character(tokenizer)))
    return str(place)
