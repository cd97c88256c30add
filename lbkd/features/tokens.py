"""Texts to token ids with character offsets, once a text, in memory-mapped arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lbkd.errors import ConfigError
from lbkd.workspace import fingerprint, replacing

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

Ints = npt.NDArray[np.integer]
_CHUNK = 4096


@dataclass(frozen=True)
class TokenTable:
    """N texts as T tokens, one text after another, without special tokens."""

    rows: Ints
    """(N + 1,) int64: text n holds tokens rows[n] to rows[n + 1]."""
    ids: Ints
    """(T,) int32 token ids."""
    begins: Ints
    """(T,) int32: first character of each token in its text."""
    ends: Ints
    """(T,) int32: one past the last character."""

    @property
    def lengths(self) -> Ints:
        """(N,) tokens of each text."""
        return np.diff(self.rows)

    def position(self, texts: Ints, characters: Ints, *, ending: bool) -> Ints:
        """Which token of its text a character falls into, as run_qa finds it.

        Args:
            texts: (M,) text numbers.
            characters: (M,) character offsets.
            ending: False: the last token that begins at or before the character (-1 if none). True: the
                first token that ends at or after it (the text's length if none).
        """
        owner = np.repeat(np.arange(len(self.rows) - 1), self.lengths) << 32
        wanted = (texts.astype(np.int64) << 32) + characters
        if ending:
            found = np.searchsorted(owner + self.ends, wanted, side="left")
        else:
            found = np.searchsorted(owner + self.begins, wanted, side="right") - 1
        inside: Ints = np.clip(found - self.rows[texts], -1, self.lengths[texts])
        return inside


def tokenize(texts: Sequence[str], tokenizer: "PreTrainedTokenizerFast") -> TokenTable:
    """Tokenize every text once."""
    backend = _untruncated(tokenizer)
    ids, begins, ends = [], [], []
    lengths = np.zeros(len(texts) + 1, dtype=np.int64)
    for at in range(0, len(texts), _CHUNK):
        chunk = backend.encode_batch(list(texts[at : at + _CHUNK]), add_special_tokens=False)
        for n, encoding in enumerate(chunk, start=at + 1):
            lengths[n] = len(encoding.ids)
            offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
            ids.append(np.array(encoding.ids, dtype=np.int32))
            begins.append(offsets[:, 0])
            ends.append(offsets[:, 1])
    empty = np.zeros(0, dtype=np.int32)
    return TokenTable(
        np.cumsum(lengths),
        np.concatenate([empty, *ids]),
        np.concatenate([empty, *begins]),
        np.concatenate([empty, *ends]),
    )


def stored_tokens(
    texts: Sequence[str], tokenizer: "PreTrainedTokenizerFast", tokenizer_hash: str, folder: Path
) -> TokenTable:
    """`tokenize`, kept under `folder` by the hash of texts and tokenizer, and memory-mapped from there."""
    place = folder / fingerprint([tokenizer_hash, list(texts)])
    if not place.exists():
        with replacing(place) as new:
            table = tokenize(texts, tokenizer)
            for field in fields(table):
                np.save(new / f"{field.name}.npy", getattr(table, field.name))
    return TokenTable(*(np.load(place / f"{field.name}.npy", mmap_mode="r") for field in fields(TokenTable)))


def tokenizer_hash(tokenizer: "PreTrainedTokenizerFast") -> str:
    """Fingerprint of everything that decides how text becomes ids."""
    return fingerprint(_untruncated(tokenizer).to_str())


def _untruncated(tokenizer: "PreTrainedTokenizerFast") -> "Tokenizer":
    """What does the work; some `tokenizer.json` files cut and pad on their own."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return backend


@dataclass(frozen=True)
class Template:
    """How a tokenizer frames a pair: `first` question `middle` passage `last`."""

    first: tuple[int, ...]
    middle: tuple[int, ...]
    last: tuple[int, ...]
    passage_type: int
    """Segment of the passage and what follows it; the question's is 0."""
    pad: int
    has_types: bool
    """The model takes `token_type_ids`."""

    @property
    def specials(self) -> int:
        """Special tokens of a pair."""
        return len(self.first) + len(self.middle) + len(self.last)

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerFast") -> "Template":
        """Read off what the tokenizer does with a probe."""
        if not tokenizer.is_fast:
            raise ConfigError(
                f"{type(tokenizer).__name__} has no fast version, which lbkd needs for character offsets. "
                "Use a model with a tokenizer.json (BERT, RoBERTa, XLM-R, DistilBERT, MiniLM families)."
            )
        encoding = tokenizer("a", "a", return_token_type_ids=True)
        parts = encoding.sequence_ids()
        ids = encoding["input_ids"]
        question = [n for n, part in enumerate(parts) if part == 0]
        passage = [n for n, part in enumerate(parts) if part == 1]
        return cls(
            tuple(ids[: question[0]]),
            tuple(ids[question[-1] + 1 : passage[0]]),
            tuple(ids[passage[-1] + 1 :]),
            int(encoding["token_type_ids"][passage[0]]),
            int(tokenizer.pad_token_id or 0),
            "token_type_ids" in tokenizer.model_input_names,
        )
