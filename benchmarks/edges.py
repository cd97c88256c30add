"""Punctuation glued to answers: what it costs to give it, and to take it away.

A token such as `(118)` or `1990.` has more than the answer. Each question's first answer is turned into its
label, the label into text, and the text is compared with the answer: letter by letter, and by EM and F1. Then
once more without the brackets (or brackets, full stops and commas) at the text's edges that an edge token has
beside something else, so that the token chose them; brackets whose partner stays inside the text stay.

The result is in docs/decisions.md. Example:

    python -m benchmarks.edges 'data/xquad/xquad.{language}.json' --metric squad-v1
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbkd.corpus.squad import Dataset, read
from lbkd.evaluation.metrics import score_answer
from lbkd.features.labels import answer_tokens
from lbkd.features.tokens import tokenize
from lbkd.graphemes import readable
from lbkd.models import e5_small
from lbkd.models.load import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PARTNER = dict(zip("([{（［｛「『【", ")]}）］｝」』】", strict=True))
BRACKETS = frozenset("".join([*PARTNER, *PARTNER.values()]))
STOPS = frozenset(".,。．、，،۔।")
Sharpen = Callable[[str, int, int, tuple[int, int]], tuple[int, int]]


def sharpened(glue: frozenset[str]) -> Sharpen:
    """A function of text, begin, end, and (end of the first token, begin of the last): a shorter span."""

    def chosen(part: str) -> bool:
        return any(char not in BRACKETS | STOPS and not char.isspace() for char in part)

    def cut(text: str, begin: int, end: int, inner: tuple[int, int]) -> tuple[int, int]:
        while True:
            last = text[end - 1] in glue and chosen(text[max(begin, inner[1]) : end])
            first = text[begin] in glue and chosen(text[begin : min(inner[0], end)])
            wraps = PARTNER.get(text[begin]) == text[end - 1]
            if last and (not _partnered(text[begin:end], -1) or (wraps and first)):
                end -= 1
            elif first and not _partnered(text[begin:end], 0):
                begin += 1
            else:
                return readable(text, begin, end)

    return cut


def _partnered(part: str, at: int) -> bool:
    """Whether the character at an edge is a bracket whose partner is inside."""
    for one, other in PARTNER.items():
        if part[at] == (other if at else one):
            return part.count(one) == part.count(other)
    return False


def measure(
    data: Dataset, tokenizer: "PreTrainedTokenizerBase", metric: str, sharpen: Sharpen | None
) -> tuple[float, float, float]:
    """Percent: answers given letter by letter, EM, F1."""
    table = tokenize(data.passages, tokenizer, data.language)
    rows, begins, ends = data.columns[:, data.columns[1] >= 0].astype(np.int64)
    first, last = (table.rows[rows] + part for part in answer_tokens(table, rows, begins, ends))
    scores = []
    for row, begin, end, a, z in np.stack([rows, begins, ends, first, last], axis=1).tolist():
        text = data.passages[row]
        span = readable(text, int(table.begins[a]), int(table.ends[z]))
        if sharpen:
            span = sharpen(text, *span, (int(table.ends[a]), int(table.begins[z])))
        given, wanted = text[slice(*span)], text[begin:end]
        score = score_answer(given, [wanted], metric, data.language)
        scores.append((given == wanted, score.exact_match, score.f1))
    whole, exact, f1 = 100 * np.mean(scores, axis=0)
    return float(whole), float(exact), float(f1)


def main() -> None:
    """Print a table of all languages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", help="path with {language} in it")
    parser.add_argument("--languages", default="en,es,de,ar,hi,vi")
    parser.add_argument("--metric", default="mlqa", choices=("mlqa", "squad-v1"))
    parser.add_argument("--model", metavar="FOLDER", help="a folder with a tokenizer; by default e5-small")
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(arguments.model) if arguments.model else e5_small.load()[1]
    ways = {"as it is": None, "brackets": sharpened(BRACKETS), "and stops": sharpened(BRACKETS | STOPS)}
    print("| language |", " | ".join(f"{way}: whole, EM, F1" for way in ways), "|")
    print("|---|" + "---|" * len(ways))
    for language in arguments.languages.split(","):
        data = read(Path(arguments.files.replace("{language}", language)), language)
        cells = [measure(data, tokenizer, arguments.metric, sharpen) for sharpen in ways.values()]
        print(f"| {language} |", " | ".join(" ".join(f"{v:.2f}" for v in cell) for cell in cells), "|")


if __name__ == "__main__":
    main()
