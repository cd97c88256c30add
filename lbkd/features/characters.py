"""The characters of each token: every tokenizer's offsets, put right by one rule.

Offsets as tokenizers tell them may leave characters out: accents that a normalizer strips or composes,
control characters, the first letters of words where a space is trimmed that never was there. They need not be
in order. Several tokens may have the same characters: bytes of one letter, or a `▁` and the piece after it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]
_SPACES = np.array([chr(code).isspace() for code in range(0x3002)])
"""Whether a code point is white space; the last entry stands for all greater ones."""


def white_space(text: str) -> npt.NDArray[np.bool_]:
    """(C,) whether each character of a text is white space."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    found: npt.NDArray[np.bool_] = _SPACES[np.minimum(codes, len(_SPACES) - 1)]
    return found


def characters(texts: Sequence[str], lengths: Ints, offsets: Ints) -> Ints:
    """(T, 2) int32: first character of each token in its text, and one past the last; both never decrease.

    Every character that is not white space belongs to a token, if its text has any. A character that no token
    tells goes to the tokens that tell none and stand at its place, or else to the token before it in its
    word, to the one after it in its word, to the one before, or to the one after.

    Args:
        texts: N texts.
        lengths: (N,) number of tokens of each text.
        offsets: (T, 2) characters of the tokens, as told by a tokenizer; no characters where equal.
    """
    joined = _Joined(texts, lengths, offsets)
    joined.fill()
    return joined.offsets()


def has_holes(texts: Sequence[str], lengths: Ints, offsets: Ints) -> npt.NDArray[np.bool_]:
    """(N,) whether a text has characters without a token, or tokens without a character."""
    joined = _Joined(texts, lengths, offsets)
    found = np.zeros(len(texts), dtype=bool)
    found[joined.owner[joined.begins >= joined.ends]] = True
    found[joined.text_at(joined.holes()[0])] = True
    return found


class _Joined:
    """Tokens of all texts, which stand one after another with a space between them."""

    def __init__(self, texts: Sequence[str], lengths: Ints, offsets: Ints) -> None:
        joined = " ".join([*texts, ""])
        self.space = white_space(joined)
        self.starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
        self.owner = np.repeat(np.arange(len(texts)), lengths)
        begins, ends = (offsets + self.starts[self.owner, None]).T
        low, high = self.starts[self.owner], self.starts[self.owner + 1] - 1
        told = begins < ends
        after = np.where(told, begins, high)
        before = np.where(told, ends, low)
        after = np.minimum.accumulate(after[::-1])[::-1]
        before = np.maximum.accumulate(before)
        place = np.clip(begins, np.minimum(before, after), np.maximum(before, after))
        self.begins = np.where(told, after, np.minimum(place, after))
        self.ends = np.where(told, before, np.maximum(place, before))

    def offsets(self) -> Ints:
        """(T, 2) int32 offsets within the texts."""
        places = np.stack([self.begins, self.ends], axis=1)
        found: Ints = (places - self.starts[self.owner, None]).astype(np.int32)
        return found

    def text_at(self, places: Ints) -> Ints:
        """Numbers of the texts that characters belong to."""
        found: Ints = np.searchsorted(self.starts, places, side="right") - 1
        return found

    def holes(self) -> tuple[Ints, Ints]:
        """Begins and ends of all stretches of characters, white space aside, that belong to no token."""
        size = len(self.space) + 1
        steps = np.bincount(self.begins, minlength=size) - np.bincount(self.ends, minlength=size)
        bare = np.concatenate([[False], (np.cumsum(steps)[:-1] <= 0) & ~self.space, [False]])
        edges = np.flatnonzero(bare[1:] != bare[:-1])
        return edges[::2], edges[1::2]

    def fill(self) -> None:
        """Give the characters of all holes to tokens."""
        begins, ends = self.holes()
        texts = self.text_at(begins)
        first, stop = (np.searchsorted(self.owner, numbers) for numbers in (texts, texts + 1))
        told = np.concatenate([[-1], np.flatnonzero(self.begins < self.ends), [len(self.owner)]])
        k = np.searchsorted(self.ends[told[1:-1]], begins, side="right")
        before, after = np.maximum(told[k], first - 1), np.minimum(told[k + 1], stop)
        silent, is_first, is_last = after - before > 1, before < first, after == stop
        left = ~silent & ~is_first & (~self.space[begins - 1] | is_last | self.space[ends])
        right = ~silent & ~left & ~is_last
        np.maximum.at(self.ends, before[left], ends[left])
        np.minimum.at(self.begins, after[right], begins[right])
        for n in np.flatnonzero(silent):
            between = slice(before[n] + 1, after[n])
            empty = self.begins[between] >= self.ends[between]
            self.begins[between] = np.where(empty, begins[n], self.begins[between])
            self.ends[between] = ends[n]
