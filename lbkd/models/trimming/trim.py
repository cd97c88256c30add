"""Vocabulary trimming: drop the pieces that texts do not use, and the pieces' rows of the embedding."""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch

from lbkd.errors import ConfigError
from lbkd.models.trimming.pieces import KEEP, cut, used_by

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import (
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
        PreTrainedTokenizerFast,
    )

CHUNK = 1000
"""Texts that are tokenized at a time."""


def trim_vocabulary(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Iterable[str],
    frequent: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[int]:
    """Cut the vocabulary of a fast tokenizer (unigram, BPE or WordPiece) and of its model, in place.

    Kept are special and added tokens, all single characters, the pieces that `texts` use with their parts,
    and the `frequent` most frequent pieces (see `pieces`). The trimmed tokenizer cuts `texts` into the same
    pieces, with the same vectors. A span head stays as it is.

    Args:
        model: an encoder, with or without a span head.
        tokenizer: the encoder's tokenizer.
        texts: the texts to read without loss.
        frequent: number of frequent pieces to keep, pieces of the texts included.
        progress: called with the number of texts read.

    Returns:
        The former ids of the kept pieces, ascending; a piece's new id is its place in the list.

    Raises:
        ConfigError: a vocabulary of another kind, or with more pieces than the model has word vectors.
    """
    backend = backend_of(tokenizer)
    state = json.loads(backend.to_str())
    if state["model"]["type"] not in KEEP:
        raise ConfigError(
            f"the vocabulary is of type {state['model']['type']}; those that can be trimmed are of type "
            f"{', '.join(KEEP)}. Use the model as it is: leave model.trim unset."
        )
    used: set[int] = set()
    done, rest = 0, iter(texts)
    while some := list(itertools.islice(rest, CHUNK)):
        used |= used_by(backend, state["model"], some)
        done += len(some)
        progress(done)
    keep = KEEP[state["model"]["type"]](state["model"], used, frequent)
    keep |= {token["id"] for token in state["added_tokens"]}
    embeddings = cast(torch.nn.Embedding, model.get_input_embeddings())
    rows = embeddings.num_embeddings
    if max(keep) >= rows:
        raise ConfigError(
            f"the tokenizer has a piece number {max(keep)}, but the model has {rows} word vectors only: they "
            "do not belong together. Name a folder with the tokenizer that the model was trained with."
        )
    keep |= {n for ids in token_ids(model.config).values() for n in ids if 0 <= n < rows}
    if embeddings.padding_idx is not None:
        first = 0 if _counts_from_padding(model) else embeddings.padding_idx
        keep |= {*range(first, embeddings.padding_idx + 1)}
    kept = sorted(keep)  # tokens that were added behind the vocabulary stay behind it
    new = {old: number for number, old in enumerate(kept)}
    _cut_tokenizer(cast("PreTrainedTokenizerFast", tokenizer), state, new)
    cut_word_vectors(model, new)
    return kept


def backend_of(tokenizer: "PreTrainedTokenizerBase") -> "Tokenizer":
    """The backend of a fast tokenizer, set neither to truncate nor to pad; ConfigError for a slow one."""
    if not tokenizer.is_fast:
        raise ConfigError(
            f"the vocabulary is that of {type(tokenizer).__name__}, a slow tokenizer without tokenizer.json; "
            "only those of fast ones can be trimmed. Use the model as it is (leave model.trim unset; "
            "training.freeze_embeddings = true spares the training of so many vectors), or a model with a "
            "fast tokenizer, such as XLM-R."
        )
    backend = cast("PreTrainedTokenizerFast", tokenizer).backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return backend


def _cut_tokenizer(
    tokenizer: "PreTrainedTokenizerFast", state: dict[str, Any], new: Mapping[int, int]
) -> None:
    from tokenizers import Tokenizer

    cut(state["model"], new)
    number_of = {token: new[old] for token, old in tokenizer.get_vocab().items() if old in new}
    for token in state["added_tokens"]:
        token["id"] = new[token["id"]]
    _renumber(state["post_processor"] or {}, number_of)
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(state))


def _renumber(processor: dict[str, Any], number_of: Mapping[str, int]) -> None:
    """Put new ids into the post-processor of a `tokenizer.json`, which frames texts with special tokens."""
    for part in processor.get("processors", ()):
        _renumber(part, number_of)
    for special in processor.get("special_tokens", {}).values():
        special["ids"] = [number_of[token] for token in special["tokens"]]
    for end in processor.keys() & {"cls", "sep"}:
        processor[end][1] = number_of[processor[end][0]]


def cut_word_vectors(model: "PreTrainedModel", new: Mapping[int, int]) -> None:
    """Keep the word vectors with the given ids, in place; `new` tells former id -> new id, ascending."""
    embeddings = cast(torch.nn.Embedding, model.get_input_embeddings())
    rows, padding = embeddings.weight.detach()[torch.tensor(list(new))], embeddings.padding_idx
    for name, ids in token_ids(model.config).items():
        numbers = [new.get(n, n) for n in ids]
        setattr(model.config, name, numbers if isinstance(getattr(model.config, name), list) else numbers[0])
    model.resize_token_embeddings(len(new), mean_resizing=False)
    embeddings = cast(torch.nn.Embedding, model.get_input_embeddings())
    embeddings.weight.data.copy_(rows)
    embeddings.padding_idx = None if padding is None else new[padding]


def token_ids(config: "PreTrainedConfig") -> dict[str, list[int]]:
    """Name of a config entry such as `pad_token_id` -> the ids in the entry."""
    named = {name: value for name, value in config.to_dict().items() if name.endswith("_token_id")}
    lists = {name: value if isinstance(value, list) else [value] for name, value in named.items()}
    return {name: ids for name, ids in lists.items() if ids and None not in ids}


def _counts_from_padding(model: "PreTrainedModel") -> bool:
    """True if positions are counted from the padding's id, as in RoBERTa: then the id must not change."""
    words = cast(torch.nn.Embedding, model.get_input_embeddings())
    return any(
        isinstance(part, torch.nn.Embedding)
        and part.padding_idx is not None
        and part.num_embeddings != words.num_embeddings  # another view of the word vectors
        for part in model.modules()
    )
