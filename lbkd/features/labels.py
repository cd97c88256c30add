"""Labels: the first and last token of each answer; and how many answers are whole tokens."""

from typing import NamedTuple

import numpy as np

from lbkd.corpus.squad import Dataset
from lbkd.features.tokens import Ints, TokenTable
from lbkd.graphemes import readable


class Ceiling(NamedTuple):
    """How many answers a model can give exactly, since they neither begin nor end inside a token."""

    answers: int
    """Questions with an answer, of which the first one counts."""
    whole: int
    """Answers that are whole tokens, up to white space at their edges."""

    @property
    def share(self) -> float:
        """Of answers that are whole tokens, from 0 to 1; 1 without answers."""
        return self.whole / self.answers if self.answers else 1.0


def answer_tokens(table: TokenTable, rows: Ints, begins: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """(N,) first and (N,) last token of each answer, numbered within its text.

    The rules are those of run_qa, as long as they give a first token that is not behind the last one. Where
    tokens share the characters of a short answer, they do not: then the token with the fewest characters is
    both, of equal ones the last. First is -1, or last is the text's length, where no token has the
    answer's edge.

    Args:
        table: tokens of the texts.
        rows: (N,) number of each answer's text.
        begins: (N,) first character of the answer, which is not white space; below 0 without an answer.
        ends: (N,) one past the answer's last character, which is not white space.
    """
    first = table.position(rows, begins, ending=False)
    last = table.position(rows, ends, ending=True)
    for n in np.flatnonzero((first > last) & (begins >= 0)):
        at = slice(table.rows[rows[n]] + last[n], table.rows[rows[n]] + first[n] + 1)
        sizes = table.ends[at] - table.begins[at]
        first[n] = last[n] = first[n] - int(np.argmin(sizes[::-1]))
    return np.where(begins >= 0, first, -1), np.where(begins >= 0, last, -1)


def ceiling(data: Dataset, table: TokenTable) -> Ceiling:
    """The ceiling of a dataset whose passages are `table`."""
    rows, begins, ends = data.columns[:, data.columns[1] >= 0].astype(np.int64)
    first, last = answer_tokens(table, rows, begins, ends)
    inside = np.flatnonzero((first >= 0) & (last < table.lengths[rows]))
    at = table.rows[rows[inside]]
    spans = np.stack([table.begins[at + first[inside]], table.ends[at + last[inside]]], axis=1).tolist()
    answers = np.stack([rows, begins, ends], axis=1)[inside].tolist()
    whole = sum(
        readable(data.passages[row], *span) == (begin, end)
        for (row, begin, end), span in zip(answers, spans, strict=True)
    )
    return Ceiling(len(rows), whole)
