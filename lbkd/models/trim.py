"""Vocabulary trimming: drop the pieces that a corpus does not use, and their rows of the embedding."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch

from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast


def trim_vocabulary(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str], frequent: int
) -> None:
    """Cut the vocabulary of a unigram tokenizer and its model, in place.

    Kept are the special tokens, all single characters, the pieces that `texts` use, the `frequent` pieces
    with the highest scores, and the piece with the lowest, which decides what an unknown character costs.
    `texts` are cut into the same pieces as before, with the same vectors.

    Raises:
        ConfigError: the tokenizer's vocabulary is of another kind.
    """
    from tokenizers import Tokenizer

    if not tokenizer.is_fast:
        raise ConfigError(
            f"model.trim: the vocabulary is {type(tokenizer).__name__}'s; only Unigram ones can be trimmed. "
            "Leave model.trim unset for this model."
        )
    tokenizer = cast("PreTrainedTokenizerFast", tokenizer)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    state = json.loads(backend.to_str())
    if state["model"]["type"] != "Unigram":
        raise ConfigError(
            f"model.trim: the vocabulary is of type {state['model']['type']}; only Unigram ones can be "
            "trimmed. Leave model.trim unset for this model."
        )
    vocabulary: list[tuple[str, float]] = [(piece, score) for piece, score in state["model"]["vocab"]]
    size, unknown = len(vocabulary), state["model"]["unk_id"]
    added = {token["id"]: token["content"] for token in state["added_tokens"]}
    keep = {*added, unknown}
    keep |= {n for n, (piece, _) in enumerate(vocabulary) if len(piece.removeprefix("▁")) <= 1}
    for encoding in backend.encode_batch(list(texts), add_special_tokens=False):
        keep.update(encoding.ids)
    by_score = sorted(range(size), key=lambda n: -vocabulary[n][1])
    keep.update(by_score[:frequent], by_score[-1:])
    kept = sorted(keep)  # tokens that were added behind the vocabulary stay behind it
    new = {old: number for number, old in enumerate(kept)}
    number_of = {added[old] if old in added else vocabulary[old][0]: new[old] for old in kept}

    state["model"]["vocab"] = [vocabulary[old] for old in kept if old < size]
    state["model"]["unk_id"] = new[unknown]
    for token in state["added_tokens"]:
        token["id"] = new[token["id"]]
    _renumber(state["post_processor"] or {}, number_of)
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(state))

    embeddings = cast(torch.nn.Embedding, model.get_input_embeddings())
    rows = embeddings.weight.detach()[torch.tensor(kept)]
    model.resize_token_embeddings(len(kept), mean_resizing=False)
    embeddings = cast(torch.nn.Embedding, model.get_input_embeddings())
    embeddings.weight.data.copy_(rows)
    model.config.pad_token_id = tokenizer.pad_token_id


def _renumber(processor: dict[str, Any], number_of: dict[str, int]) -> None:
    """Put new ids into the part of a `tokenizer.json` that frames texts with special tokens."""
    for part in processor.get("processors", ()):
        _renumber(part, number_of)
    for special in processor.get("special_tokens", {}).values():
        special["ids"] = [number_of[token] for token in special["tokens"]]
    for end in processor.keys() & {"cls", "sep"}:
        processor[end][1] = number_of[processor[end][0]]
