"""Phrases: mined from texts, found in texts, and kept as lists with one file a language."""

import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lbkd.errors import DataError
from lbkd.scripts import UNSPACED, is_unspaced
from lbkd.workspace import write_text

LONGEST = 4
"""Words in the longest phrase that `mine` finds."""
MIN_COUNT = 2
"""Occurrences that a mined phrase has at least."""
MIN_SCORE = 0.5
"""Normalized pointwise mutual information that a mined phrase has at least."""


class Phrase(NamedTuple):
    """A mined phrase."""

    text: str
    """The words in NFKC and lower case."""
    times: int
    """Occurrences in the mined texts."""
    score: float
    """Normalized pointwise mutual information of the weakest cut, see `mine`."""


class Phrases:
    """A set of phrases that finds its members in texts.

    Texts are compared in NFKC and lower case, with runs of white space as one space. A match begins and ends
    where a word does. A word is a run of letters, digits and the marks on them; in scripts that put no spaces
    between words (Han, kana, Thai, Lao, Burmese, Khmer) every character counts as one.

    Args:
        texts: the phrases. A phrase begins with its first word and ends with its last: punctuation round a
            phrase is dropped.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.members: set[str] = set()
        self._most: dict[str, int] = {}  # first word -> words of the longest phrase that begins with it
        for text in texts:
            if words := words_of(text):
                first, last = words[0], words[-1]
                self.members.add(_normalized(text[first.start() : last.end()]))
                key = _normalized(first.group())
                self._most[key] = max(self._most.get(key, 0), len(words))

    def find(self, text: str) -> list[tuple[int, int]]:
        """Start and end (exclusive) of every match, in characters, from left to right.

        At each word the longest phrase that begins there is taken, and the search goes on behind the match,
        so that matches do not overlap.
        """
        words, found, at = words_of(text), [], 0
        while at < len(words):
            begin, next_at = words[at].start(), at + 1
            most = self._most.get(_normalized(words[at].group()), 0)
            for stop in range(min(at + most, len(words)), at, -1):
                end = words[stop - 1].end()
                if _normalized(text[begin:end]) in self.members:
                    found.append((begin, end))
                    next_at = stop
                    break
            at = next_at
        return found


def words_of(text: str) -> list[re.Match[str]]:
    """The words of a text from left to right; `Phrases` tells what a word is."""
    return list(_word().finditer(text))


def mine(texts: Sequence[str]) -> list[Phrase]:
    """The n-grams of 2 to 4 words whose words belong together, best first.

    An n-gram's words follow one another with nothing but white space between them. It can be cut in n - 1
    places into two parts x and y; each cut has the normalized pointwise mutual information

        npmi(x, y) = ln(p(x y) / (p(x) p(y))) / -ln p(x y),    p = occurrences / words of all texts,

    which is 0 for parts that meet by chance and 1 for parts that occur together only (Bouma 2009,
    *Normalized (Pointwise) Mutual Information in Collocation Extraction*, for two words). The n-gram's score
    is that of its weakest cut. An n-gram is a phrase if it occurs `MIN_COUNT` times or more and scores at
    least `MIN_SCORE`.
    """
    runs = [run for text in texts for run in _runs(text)]
    total = sum(map(len, runs))
    counts: Counter[tuple[str, ...]] = Counter((word,) for run in runs for word in run)
    for size in range(2, LONGEST + 1):
        grams = (tuple(run[at : at + size]) for run in runs for at in range(len(run) - size + 1))
        # No n-gram is more frequent than its parts: the rare ones are never held.
        longer = Counter(g for g in grams if min(counts[g[:-1]], counts[g[1:]]) >= MIN_COUNT)
        counts.update({gram: count for gram, count in longer.items() if count >= MIN_COUNT})
    found = []
    for gram, count in counts.items():
        cuts = [(counts[gram[:n]], counts[gram[n:]]) for n in range(1, len(gram))]
        score = min((npmi(count, x, y, total) for x, y in cuts), default=-1.0)
        if score >= MIN_SCORE:
            found.append(Phrase(_joined(gram), count, score))
    return sorted(found, key=lambda phrase: (-phrase.score, -phrase.times, phrase.text))


def npmi(both: int, x: int, y: int, total: int) -> float:
    """Normalized pointwise mutual information, from -1 to 1, of two parts of an n-gram.

    Args:
        both: occurrences of the first part followed by the second, fewer than `total`.
        x: occurrences of the first part.
        y: occurrences of the second part.
        total: words in all texts.
    """
    return math.log(both * total / (x * y)) / math.log(total / both)


def read_phrases(folder: Path, languages: Sequence[str]) -> dict[str, Phrases]:
    """Read the lists `<language>.txt` of a folder: UTF-8, one phrase a line; a list may be empty.

    Raises:
        DataError: a list is missing or cannot be read.
    """
    lists = {}
    for language in languages:
        path = folder / f"{language}.txt"
        try:
            lists[language] = Phrases(path.read_text(encoding="utf-8-sig").splitlines())
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: no readable list of phrases ({error}). Every training language needs one, UTF-8, "
                f"one phrase a line; `lbkd data phrases --out {folder}` mines them from the passages."
            ) from error
    return lists


def write_phrases(folder: Path, lists: Mapping[str, Sequence[Phrase]]) -> dict[str, Path]:
    """Write `<language>.txt` for each language, best phrase first, and return the paths by language.

    Raises:
        DataError: one of the files exists already, and may be the user's own list.
    """
    paths = {language: folder / f"{language}.txt" for language in lists}
    if taken := [str(path) for path in paths.values() if path.exists()]:
        raise DataError(f"{', '.join(taken)} would be overwritten; choose another folder, or move them away.")
    try:
        for language, phrases in lists.items():
            write_text(paths[language], "".join(f"{phrase.text}\n" for phrase in phrases))
    except OSError as error:
        raise DataError(f"{folder}: no lists can be written there ({error}); name another --out.") from error
    return paths


def _runs(text: str) -> Iterator[list[str]]:
    """Runs of normalized words that have nothing but white space between two neighbours."""
    run: list[str] = []
    end = 0
    for word in words_of(text):
        if run and text[end : word.start()].strip():
            yield run
            run = []
        run.append(_normalized(word.group()))
        end = word.end()
    yield run


def _joined(words: Sequence[str]) -> str:
    """Join words with spaces, but for two neighbours of a script that is written without."""
    text = words[0]
    for one, other in zip(words, words[1:], strict=False):
        text += other if is_unspaced(one[0]) and is_unspaced(other[0]) else f" {other}"
    return text


def _normalized(text: str) -> str:
    """NFKC and lower case, with every run of white space as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


@cache
def _word() -> re.Pattern[str]:
    r"""The pattern of a word: \w+ alone would end at the marks that write vowels in many scripts."""
    everything = map(chr, range(sys.maxunicode + 1))
    marks = "".join(c for c in everything if unicodedata.category(c)[0] == "M") + "\u00ad\u200c\u200d"
    return re.compile(rf"[{UNSPACED}][{marks}]*|(?:(?![{UNSPACED}])[\w{marks}])+")
