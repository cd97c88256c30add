"""A model with a trimmed vocabulary, written to a folder of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lbkd.config import ModelSettings
from lbkd.errors import ConfigError
from lbkd.features.tokens import tokenizer_hash
from lbkd.models import e5_small
from lbkd.models.load import has_span_head, language_numbers, load_config, load_encoder, save
from lbkd.models.run_folder import Model, trained
from lbkd.models.trimming.compare import Progress, Reader, check
from lbkd.models.trimming.probes import pieces_per_character
from lbkd.models.trimming.trim import trim_vocabulary
from lbkd.workspace import replacing, write_manifest

_LEFT_OUT = ("ForMaskedLM", "ForPreTraining", "LMHeadModel", "ForCausalLM")
"""Ends of the names of models whose head predicts pieces: a plain encoder is what is meant."""


def trim_to(
    name: str,
    texts: Sequence[str],
    frequent: int,
    out: Path,
    progress: Progress,
    device: torch.device | str = "cpu",
    trust: bool = False,
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
        trust: run Python code that comes with the model.

    Returns:
        `checked` (see `compare.check`); `whole` and `trimmed`, each with `pieces`, `parameters`, `megabytes`
        and `pieces_per_character` by language (see `probes`); `left_out`, the class of a model whose
        language-modelling head was left out, or None.

    Raises:
        ConfigError: a folder that exists; a model that cannot be read or trimmed, or has a head of another
            kind than question answering; no texts.
        DataError: a text that the trimmed model reads differently; nothing is written.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already; name another folder, or remove this one.")
    if not texts:
        raise ConfigError(
            "there are no texts whose pieces are to be kept; name others (--corpus or --texts)."
        )
    ours = name == e5_small.NAME
    folder, settings, run = Model(name, ModelSettings(), None) if ours else trained(name, trust)
    left_out = None if ours else _head_left_out(folder, trust)
    whole, trimmed = (_load(folder, trust) for _ in range(2))
    if whole.model.config.is_encoder_decoder:
        raise ConfigError(f"model {name!r} has a decoder, too; only encoders can be trimmed.")
    kept = trim_vocabulary(
        *trimmed, texts, frequent, lambda done: progress("texts read", done, len(texts), {})
    )
    numbers = [
        {**reader.sizes, "pieces_per_character": pieces_per_character(reader.tokenizer)}
        for reader in (whole, trimmed)
    ]
    with replacing(out) as new:
        place = new if run is None else new / "model"
        save(*trimmed, place)
        trimmed = Reader(*load_encoder(str(place), trust))
        for reader in (whole, trimmed):
            torch.nn.Module.to(reader.model.train(False), device)
        if run is not None:
            languages = language_numbers(trimmed.model.config, trimmed.tokenizer)
            tokenizer = tokenizer_hash(trimmed.tokenizer, languages)
            provenance = {**run.provenance, "tokenizer": tokenizer}
            run.model_copy(update={"provenance": provenance}).write(new)
            write_manifest(place)
        checked = check(whole, trimmed, kept, texts, settings.max_length, progress)
    return {"whole": numbers[0], "trimmed": numbers[1], "checked": checked, "left_out": left_out}


def _load(name: str, trust: bool) -> Reader:
    return Reader(*(e5_small.load() if name == e5_small.NAME else load_encoder(name, trust)))


def _head_left_out(name: str, trust: bool) -> str | None:
    """The class of a model whose language-modelling head `load_encoder` leaves out; else None.

    Raises:
        ConfigError: a head that is neither this nor one for question answering.
    """
    config = load_config(name, trust)
    for kind in config.architectures or ():
        if kind.endswith(_LEFT_OUT):
            return kind
        if not (has_span_head(config) or kind.endswith("Model")):
            raise ConfigError(
                f"model {name!r} is a {kind}, whose head would be lost: lbkd trims plain encoders and models "
                "with a question-answering head. Use the model as it is, or trim the encoder that it was "
                "made from."
            )
    return None
