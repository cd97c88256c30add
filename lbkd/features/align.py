"""Character offsets of tokens, for tokenizers that do not give them (the slow ones)."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lbkd.features.tokens import Ints

_MARKERS = re.compile(r"^(?:##|▁+)|(?:</w>|)$")
"""Prefixes and suffixes by which vocabularies mark the ends of words."""
_NEAR = 512
"""Characters compared at a time where text and tokens differ; the cost of a comparison is quadratic."""
_SCATTERED = 8
"""Length of a longest common stretch below which a quarter of `_NEAR` is compared: cost is cubic then."""


def align(text: str, tokens: Sequence[str], unknown: str | None) -> "Ints":
    """(T, 2) int32: first character of each token in `text`, and one past the last; both never decrease.

    Text and tokens are compared without what tokenizers change: white space, control characters, case,
    accents (unless the tokens have some), and which punctuation it is. Where they differ nevertheless, the
    longest common stretches nearby decide. A token that shares no character with the text, such as `unknown`,
    covers what its neighbours leave between them, spaces aside: nothing, if it was made up. A character
    that no token has, such as a mark that was stripped, goes with the token before it in its word, or else
    with the one after.

    Args:
        text: the raw text.
        tokens: all tokens of the text, in order.
        unknown: the tokenizer's token for unknown text, if any.
    """
    pieces = ["" if token == unknown else _MARKERS.sub("", token) for token in tokens]
    marks = any(unicodedata.category(char) == "Mn" for char in unicodedata.normalize("NFD", "".join(pieces)))
    raw, place = _folded(text, marks)
    ours, owner = _folded(pieces, marks)
    begins, ends = np.full(len(tokens), len(text)), np.zeros(len(tokens), dtype=np.int64)
    for tag, a, b, c, d in _blocks(raw, ours):
        if tag in ("equal", "replace"):
            n = np.arange(d - c)
            np.minimum.at(begins, owner[c:d], place[a + n * (b - a) // (d - c)])
            np.maximum.at(ends, owner[c:d], place[a - (-(n + 1) * (b - a) // (d - c)) - 1] + 1)
    return _closed(text, begins, ends)


def _folded(parts: Iterable[str], marks: bool) -> "tuple[str, Ints]":
    """The parts, folded and joined, and for each character of the result the number of its part."""
    folded = [_fold(part, marks) for part in parts]
    return "".join(folded), np.repeat(np.arange(len(folded)), [len(part) for part in folded])


@lru_cache(maxsize=2**16)
def _fold(part: str, marks: bool) -> str:
    found = []
    for char in part:
        accent = unicodedata.category(char) == "Sk"  # one that stands alone is taken for a quotation mark
        for c in char if accent else unicodedata.normalize("NFKD", char):
            kind = unicodedata.category(c)
            if accent or kind[0] == "P":
                found.append(".")
            elif kind[0] not in "CZ" and (marks or kind != "Mn"):
                found.append(c.casefold())
    return "".join(found)


def _blocks(raw: str, ours: str) -> Iterator[tuple[str, int, int, int, int]]:
    """Edits that turn `raw` into `ours`, as difflib's opcodes: (kind, from, to, from, to)."""
    if raw == ours:
        yield "equal", 0, len(raw), 0, len(ours)
        return
    a = c = 0
    while a < len(raw) or c < len(ours):
        near = _NEAR
        matcher = difflib.SequenceMatcher(None, raw[a : a + near], ours[c : c + near], autojunk=False)
        if matcher.find_longest_match().size < _SCATTERED:
            near = _NEAR // 4
            matcher = difflib.SequenceMatcher(None, raw[a : a + near], ours[c : c + near], autojunk=False)
        blocks = matcher.get_opcodes()
        if a + near < len(raw) or c + near < len(ours):  # the longest stretch is sure, not what follows it
            sizes = [stop - start if what == "equal" else 0 for what, start, stop, _, _ in blocks]
            halfway = next(n for n, block in enumerate(blocks) if 2 * max(block[2], block[4]) >= near)
            blocks = blocks[: max(sizes.index(max(sizes)), halfway) + 1]  # half at least: the cost is linear
        for what, *ends in blocks:
            yield what, a + ends[0], a + ends[1], c + ends[2], c + ends[3]
        a, c = a + blocks[-1][2], c + blocks[-1][4]


def _closed(text: str, begins: "Ints", ends: "Ints") -> "Ints":
    """Offsets in which the gaps between located tokens are given to neighbouring or unlocated tokens."""
    found = [*np.flatnonzero(begins < ends).tolist(), len(begins)]
    last = -1
    for n in found:
        left = int(ends[last]) if last >= 0 else 0
        right = int(begins[n]) if n < len(begins) else len(text)
        gap = text[left:right]
        if n > last + 1:
            begins[last + 1 : n] = min(left, right) + (len(gap) - len(gap.lstrip()) if gap.strip() else 0)
            ends[last + 1 : n] = left + len(gap.rstrip())
        else:
            words = re.split(r"\s", gap)
            if last >= 0:
                ends[last] += len(words.pop(0))
            if n < len(begins) and words:
                begins[n] -= len(words[-1])
        last = n
    return np.stack([begins, ends], axis=1).astype(np.int32)
