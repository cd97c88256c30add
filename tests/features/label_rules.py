"""What every label must be, found by trying, and what run_qa makes of raw offsets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lbkd.corpus.squad import Dataset
from lbkd.features.labels import answer_tokens
from lbkd.features.tokens import Ints, TokenTable


class Spans(NamedTuple):
    """The stripped answers of a dataset."""

    rows: Ints
    begins: Ints
    ends: Ints


def answers(data: Dataset) -> Spans:
    """All answers of all questions."""
    found = []
    for question in data.questions:
        for answer in question.answers:
            start = answer.start + len(answer.text) - len(answer.text.lstrip())
            found.append((question.passage, start, start + len(answer.text.strip())))
    return Spans(*np.array(found, dtype=np.int64).reshape(-1, 3).T)


def bare(text: str, begins: Ints, ends: Ints) -> str:
    """The characters of a text, white space aside, that no token has."""
    covered = np.zeros(len(text), dtype=bool)
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        covered[begin:end] = True
    return "".join(text[n] for n in np.flatnonzero(~covered) if not text[n].isspace())


def fewest(begins: Ints, ends: Ints, begin: int, end: int) -> int:
    """Fewest characters that a run of tokens has which has all characters from `begin` to `end`."""
    first = np.flatnonzero((begins <= begin) & (begin < ends))
    last = np.flatnonzero((begins < end) & (end <= ends))
    return min(int(ends[j] - begins[i]) for i in first for j in last if i <= j)


def run_qa(offsets: Sequence[tuple[int, int]], begin: int, end: int) -> tuple[int, int]:
    """The label of run_qa, whose loops are these."""
    first = 0
    while first < len(offsets) and offsets[first][0] <= begin:
        first += 1
    last = len(offsets) - 1
    while last >= 0 and offsets[last][1] >= end:
        last -= 1
    return first - 1, last + 1


def faults(data: Dataset, table: TokenTable) -> list[str]:
    """Everything that is wrong with the characters of tokens and with labels."""
    found = []
    texts = []
    for n, text in enumerate(data.passages):
        at = slice(table.rows[n], table.rows[n + 1])
        begins, ends = table.begins[at], table.ends[at]
        texts.append((begins, ends))
        if left := bare(text, begins, ends):
            found.append(f"{left!r} in no token of {text!r}")
        if (np.diff(begins) < 0).any() or (np.diff(ends) < 0).any():
            found.append(f"not in order: {text!r}")
    spans = answers(data)
    for row, begin, end, first, last in np.stack([*spans, *answer_tokens(table, *spans)], axis=1).tolist():
        begins, ends = texts[row]
        label = data.passages[row][begins[first] : ends[last]] if 0 <= first <= last < len(ends) else None
        sound = label is not None and begins[first] <= begin and end <= ends[last]
        if not sound or ends[last] - begins[first] > fewest(begins, ends, begin, end):
            found.append(f"{data.passages[row][begin:end]!r} is labelled {label!r}")
    return found
