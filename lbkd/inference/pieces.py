"""A large vocabulary of pieces on the disk, of which a call brings into memory what its texts need.

A unigram tokenizer with 250,000 pieces takes a second and 300 MB to load. To cut a word, it looks at those
pieces alone that are parts of the word: a tokenizer of these pieces cuts it as the whole one does.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models

from lbkd.features.tokens import Ints
from lbkd.workspace import read_json

PIECES = "pieces.npz"
"""File with the vocabulary of a tokenizer.json as arrays."""
_WIDEST = 64
"""Most bytes of a piece that is looked up; longer ones are in memory always."""
_NONE = "\0\0"
"""No piece: where it is the only one, each word is one unknown token."""
_AT_ONCE = 2**16
"""Parts of words that are looked up in one step."""

Piece = tuple[str, float]
"""Text, and logarithm of the probability."""


def write_pieces(tokenizer: Path) -> None:
    """Write `PIECES` beside a tokenizer.json whose model is a unigram model; beside another, nothing."""
    rules: Any = read_json(tokenizer)
    model = rules["model"]
    if model["type"] != "Unigram" or model.get("unk_id") is None:
        return
    pieces: list[Piece] = model["vocab"]
    by_bytes = bool(model.get("byte_fallback"))
    last = {text: n for n, (text, _) in enumerate(pieces)}  # of equal ones, the last one counts
    lowest = min(range(len(pieces)), key=lambda n: pieces[n][1])  # an unknown character's score depends on it
    always = {int(model["unk_id"]): None, last[pieces[lowest][0]]: None}
    always |= {n: None for text, n in last.items() if _is_odd(text) or by_bytes and text.startswith("<0x")}
    found = sorted((text.encode(), n) for text, n in last.items() if not _is_odd(text))
    model |= {"vocab": [[_NONE, 0.0]], "unk_id": 0, "byte_fallback": False}
    longest = max((len(text.decode()) for text, _ in found), default=0)
    kept = {
        "rules": rules,
        "bytes": by_bytes,
        "always": [[*pieces[n], n] for n in always],
        "longest": longest,
    }
    np.savez(
        tokenizer.with_name(PIECES),
        text=np.array([text for text, _ in found]),
        number=np.array([n for _, n in found], np.int32),
        score=np.array([pieces[n][1] for _, n in found]),
        kept=np.frombuffer(json.dumps(kept).encode(), np.uint8),
    )


def _is_odd(text: str) -> bool:
    """True for a piece that numpy's sorted bytes would not find."""
    return len(text.encode()) > _WIDEST or text.endswith("\0")


class Pieces:
    """The vocabulary in a file of `write_pieces`."""

    def __init__(self, file: Path) -> None:
        with np.load(file) as arrays:
            self._text: npt.NDArray[np.bytes_] = arrays["text"]
            self._number, self._score = arrays["number"], arrays["score"]
            kept = json.loads(arrays["kept"].tobytes())
        self._always: list[tuple[str, float, int]] = kept["always"]
        self._by_bytes: bool = kept["bytes"]
        self._longest: int = kept["longest"]
        self.words = Tokenizer.from_str(json.dumps(kept["rules"]))
        """The whole tokenizer without its pieces, whose tokens are the words that it would cut."""
        self._added = {token["content"]: int(token["id"]) for token in kept["rules"]["added_tokens"]}

    def tokenizer(self, texts: Sequence[str]) -> tuple[Tokenizer, Ints]:
        """A tokenizer that cuts the texts, and parts of them, as the whole one does.

        Returns:
            The tokenizer, and the whole one's number of each of its tokens, by its own number.
        """
        words = {word for text in texts for word in self.words.encode(text, add_special_tokens=False).tokens}
        found = self._among(words)
        always: list[Piece] = [(text, score) for text, score, _ in self._always]
        looked_up = zip(self._text[found].tolist(), self._score[found].tolist(), strict=True)
        pieces = [*always, *((text.decode(), score) for text, score in looked_up)]
        small = Tokenizer(models.Unigram(pieces, 0, self._by_bytes))
        small.normalizer, small.pre_tokenizer = self.words.normalizer, self.words.pre_tokenizer
        small.post_processor = self.words.post_processor
        small.add_tokens(list(self.words.get_added_tokens_decoder().values()))
        small.encode_special_tokens = self.words.encode_special_tokens
        numbers = np.zeros(small.get_vocab_size(), np.int32)
        numbers[: len(always)] = [number for _, _, number in self._always]
        numbers[len(always) : len(always) + len(found)] = self._number[found]
        for text, number in self._added.items():
            numbers[small.token_to_id(text)] = number
        return small, numbers

    def _among(self, words: Iterable[str]) -> Ints:
        """Rows of the pieces that are parts of the words, ascending."""
        rows: list[Ints] = [np.zeros(0, np.int64)]
        parts = _parts(words, self._longest)
        while some := list({*islice(parts, _AT_ONCE)}):
            sought = np.array([part.encode() for part in some], self._text.dtype)  # cut where they are longer
            row = np.minimum(np.searchsorted(self._text, sought), len(self._text) - 1)
            rows.append(row[self._text[row] == sought])
        return np.unique(np.concatenate(rows))


def _parts(words: Iterable[str], longest: int) -> Iterator[str]:
    for word in words:
        for begin in range(len(word)):
            for end in range(begin + 1, min(begin + longest, len(word)) + 1):
                yield word[begin:end]
