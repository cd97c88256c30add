"""A model with a trimmed vocabulary, written to a folder of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lbkd.config import ModelSettings
from lbkd.errors import ConfigError
from lbkd.features.tokens import tokenizer_hash
from lbkd.models import e5_small
from lbkd.models.load import language_numbers, load_encoder, save
from lbkd.models.run_folder import Model, trained
from lbkd.models.trimming.compare import Progress, Reader, check
from lbkd.models.trimming.trim import trim_vocabulary
from lbkd.workspace import replacing, write_manifest


def trim_to(
    name: str,
    texts: Sequence[str],
    frequent: int,
    out: Path,
    progress: Progress,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Write a model with a trimmed vocabulary (see `trim_vocabulary`), checked against the whole model.

    A run folder becomes a run folder with the same settings and the new tokenizer's fingerprint, so that no
    result of the whole model is taken for the trimmed model's.

    Args:
        name: a run folder, a model folder, a hub id, or `e5-small`.
        texts: distinct texts to read without loss.
        frequent: number of frequent pieces to keep, pieces of the texts included.
        out: a folder that does not exist yet.
        progress: called with (what, done, total, numbers).
        device: the device of the comparison.

    Returns:
        `checked` (see `compare.check`); `whole` and `trimmed`, each with `pieces`, `parameters` and
        `megabytes`.

    Raises:
        ConfigError: a folder that exists; a model that cannot be read or trimmed; no texts.
        DataError: a text that the trimmed model reads differently; nothing is written.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already; name another folder, or remove this one.")
    if not texts:
        raise ConfigError(
            "there are no texts whose pieces are to be kept; name others (--corpus or --texts)."
        )
    folder, settings, run = Model(name, ModelSettings(), None) if name == e5_small.NAME else trained(name)
    whole, trimmed = (_load(folder) for _ in range(2))
    if whole.model.config.is_encoder_decoder:
        raise ConfigError(f"model {name!r} has a decoder, too; only encoders can be trimmed.")
    kept = trim_vocabulary(
        *trimmed, texts, frequent, lambda done: progress("texts read", done, len(texts), {})
    )
    numbers = [whole.sizes, trimmed.sizes]
    with replacing(out) as new:
        place = new if run is None else new / "model"
        save(*trimmed, place)
        trimmed = Reader(*load_encoder(str(place)))
        for reader in (whole, trimmed):
            torch.nn.Module.to(reader.model.train(False), device)
        if run is not None:
            languages = language_numbers(trimmed.model.config, trimmed.tokenizer)
            tokenizer = tokenizer_hash(trimmed.tokenizer, languages)
            provenance = {**run.provenance, "tokenizer": tokenizer}
            run.model_copy(update={"provenance": provenance}).write(new)
            write_manifest(place)
        checked = check(whole, trimmed, kept, texts, settings.max_length, progress)
    return {"whole": numbers[0], "trimmed": numbers[1], "checked": checked}


def _load(name: str) -> Reader:
    return Reader(*(e5_small.load() if name == e5_small.NAME else load_encoder(name)))
