"""Labels that end with a whole grapheme cluster, in texts whose characters are decomposed."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from lbkd.features.tokens import Ints, TokenTable
from lbkd.graphemes import widen


def whole_clusters(
    table: TokenTable, texts: Sequence[str], rows: Ints, tokens: Ints, characters: Ints
) -> Ints:
    """The last tokens of answers, where a token may end inside the last grapheme cluster of its answer.

    A tokenizer that composes characters gives a decomposed letter the offsets of its base alone, so that the
    token before is the one that covers the end of the answer. Composed texts are labelled as by run_qa.

    Args:
        table: tokens of the texts.
        texts: passages.
        rows: (N,) number of each answer's passage.
        tokens: (N,) first token of the passage that ends at or after the answer's end.
        characters: (N,) one past the answer's last character; below 0 without an answer.
    """
    at = table.rows[rows] + tokens
    there = tokens < table.lengths[rows]
    begins = table.begins[np.minimum(at, len(table.begins) - 1)] if len(table.begins) else at
    beyond = (characters >= 0) & (tokens > 0) & (~there | (begins >= characters))
    found = tokens.copy()
    for n in np.flatnonzero(beyond):
        text, before = texts[int(rows[n])], at[n] - 1
        begin, end = widen(text, int(table.begins[before]), int(table.ends[before]))
        decomposed = len(unicodedata.normalize("NFC", text[begin:end])) < end - begin
        found[n] -= decomposed and end >= characters[n]
    return found
