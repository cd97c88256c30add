"""The pieces of a vocabulary that trimming keeps: one function for each kind of vocabulary.

A function takes the `model` of a `tokenizer.json` and the ids that texts use. The result holds these ids, the
ids of all pieces on the way to merged ones, single characters and frequent pieces. Any part of the vocabulary
that holds the result cuts the texts into the same pieces as the whole vocabulary (see docs/decisions.md).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BYTE = re.compile("<0x[0-9A-F]{2}>")
"""A piece for one byte of a character that the vocabulary lacks."""


def used_by(backend: "Tokenizer", model: Mapping[str, Any], texts: Sequence[str]) -> set[int]:
    """Ids of the texts' pieces, and of the pieces that WordPiece matches in a word before it gives up."""
    found: set[int] = set()
    unknown = model["vocab"].get(model["unk_token"]) if model["type"] == "WordPiece" else None
    for text, encoding in zip(texts, backend.encode_batch(texts, add_special_tokens=False), strict=True):
        found.update(encoding.ids)
        if unknown is not None and unknown in encoding.ids:
            words = {
                text[slice(*at)] for n, at in zip(encoding.ids, encoding.offsets, strict=True) if n == unknown
            }
            for word in words:
                plain = backend.normalizer.normalize_str(word) if backend.normalizer else word
                found.update(n for part in plain.split() for n in _dead_end(model, part))
    return found


def _dead_end(model: Mapping[str, Any], word: str) -> list[int]:
    """Ids of the longest pieces from the left, up to the first place where no piece fits."""
    vocabulary, prefix, begin = model["vocab"], model["continuing_subword_prefix"], 0
    found = []
    while begin < len(word):
        pieces = ((end, (prefix if begin else "") + word[begin:end]) for end in range(len(word), begin, -1))
        longest = next(((end, vocabulary[piece]) for end, piece in pieces if piece in vocabulary), None)
        if longest is None:
            break
        begin, number = longest
        found.append(number)
    return found


def unigram(model: dict[str, Any], used: set[int], frequent: int) -> set[int]:
    """All single characters, the `frequent` pieces with the highest scores, and the piece with the lowest.

    The lowest score decides the score of an unknown character.
    """
    vocabulary: list[tuple[str, float]] = model["vocab"]
    single = {
        n
        for n, (piece, _) in enumerate(vocabulary)
        if len(piece.removeprefix("▁")) <= 1 or _BYTE.fullmatch(piece)
    }
    by_score = sorted(range(len(vocabulary)), key=lambda n: -vocabulary[n][1])
    unknown = set() if model["unk_id"] is None else {model["unk_id"]}
    return used | single | unknown | {*by_score[:frequent], *by_score[-1:]}


def word_piece(model: dict[str, Any], used: set[int], frequent: int) -> set[int]:
    """All single characters at the beginning of words and inside them, and the `frequent` first pieces.

    A WordPiece vocabulary has no frequencies; BERT's begin with the frequent pieces by custom.
    """
    vocabulary: dict[str, int] = model["vocab"]
    prefix = model["continuing_subword_prefix"]
    single = {n for piece, n in vocabulary.items() if len(piece.removeprefix(prefix)) == 1}
    unknown = {n for piece, n in vocabulary.items() if piece == model["unk_token"]}
    return used | single | unknown | {*sorted(vocabulary.values())[:frequent]}


def byte_pairs(model: dict[str, Any], used: set[int], frequent: int) -> set[int]:
    """All initial symbols, the results of the `frequent` first merges, and the parts of kept pieces."""
    vocabulary: dict[str, int] = model["vocab"]
    prefix, suffix = model["continuing_subword_prefix"] or "", model["end_of_word_suffix"] or ""
    joined = {(a, b): a + b.removeprefix(prefix) for a, b in model["merges"]}
    ranks = {(a, b): n for n, (a, b) in enumerate(model["merges"])}
    symbols = {piece: _symbols(piece, prefix, suffix) for piece in vocabulary}
    keep = {n for piece, n in vocabulary.items() if len(symbols[piece]) == 1 or piece == model["unk_token"]}
    first = {joined[pair] for pair in sorted(ranks, key=ranks.__getitem__)[:frequent]}
    for piece, number in vocabulary.items():
        if number in used or piece in first:
            keep.update(vocabulary[part] for part in _made_of(symbols[piece], ranks, joined))
    return used | keep


def _symbols(piece: str, prefix: str, suffix: str) -> list[str]:
    """A piece's characters, marked by their place in the word: the symbols that merging begins with."""
    if _BYTE.fullmatch(piece):
        return [piece]
    inside = bool(prefix) and piece.startswith(prefix) and piece != prefix
    last = suffix if suffix and piece != suffix and piece.endswith(suffix) else ""
    characters = piece.removesuffix(last)[len(prefix) * inside :]
    found = [prefix * (inside or n > 0) + character for n, character in enumerate(characters)]
    return [*found[:-1], found[-1] + last] if found else [piece]


def _made_of(
    symbols: Iterable[str], ranks: Mapping[tuple[str, str], int], joined: Mapping[tuple[str, str], str]
) -> list[str]:
    """All pieces that arise while merges join the symbols, the symbols and the result included."""
    now = list(symbols)
    found = []
    while pairs := [(ranks[pair], n) for n, pair in enumerate(pairwise(now)) if pair in ranks]:
        _, n = min(pairs)
        now[n : n + 2] = [joined[now[n], now[n + 1]]]
        found.append(now[n])
    return found


KEEP: Mapping[str, Callable[[dict[str, Any], set[int], int], set[int]]] = {
    "Unigram": unigram,
    "BPE": byte_pairs,
    "WordPiece": word_piece,
}
"""Type of a vocabulary -> function that gives the ids to keep."""


def cut(model: dict[str, Any], new: Mapping[int, int]) -> None:
    """Drop, in place, the pieces without an id in `new`, and the merges of dropped pieces."""
    vocabulary = model["vocab"]
    if model["type"] == "Unigram":
        model["vocab"] = [vocabulary[old] for old in new if old < len(vocabulary)]
        model["unk_id"] = new.get(model["unk_id"])
        return
    model["vocab"] = kept = {piece: new[old] for piece, old in vocabulary.items() if old in new}
    if "merges" in model:
        prefix = model["continuing_subword_prefix"] or ""
        model["merges"] = [
            (a, b) for a, b in model["merges"] if {a, b, a + b.removeprefix(prefix)} <= kept.keys()
        ]
