"""Logits carried to the student's tokens from a teacher that reads other tokens.

The teacher reads the question and the part of the passage that the student's window holds, as its own tokens.
Its tokens and the student's are places in one text. So a start logit goes to the student token that a label
for the same first character would name, and an end logit to the one that a label for the same last character
would name (`labels.answer_tokens`): with T(s) the teacher's tokens whose logits x go to student token s,

    logit of s = log of the sum over t in T(s) of exp(x_t)

which keeps the mass of softmax. One logit alone arrives bit for bit. A student token with empty T(s) gets a
floor, since packing and Eq. 3 need finite numbers: the window's greatest logit less `FLOOR`, or its smallest
one, whichever is less.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from lbkd.features.characters import white_space
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, TokenTable
from lbkd.features.windows import Windows
from lbkd.teachers.packing import Logits

VERSION = 1
"""Of these rules; belongs to the provenance of carried logits."""
FLOOR = 24.0
"""Nats below a window's greatest logit; 512 tokens so low have less than 2e-8 of the mass."""
_TEXTS = 2**13
"""Texts whose places are kept: a passage comes back with every question and every language of questions."""


class Edges(NamedTuple):
    """The characters of a text's tokens; neither array decreases."""

    begins: Ints
    """(T,) first character of each token."""
    ends: Ints
    """(T,) one past the last character."""

    def read(self, text: str) -> "Edges":
        """The same tokens without white space at their edges; a token of nothing else keeps its edges."""
        bare, place = ~white_space(text), np.arange(len(text) + 1)
        after = np.where(np.append(bare, True), place, len(text))
        before = np.where(np.append(True, bare), place, 0)
        begins = np.minimum.accumulate(after[::-1])[::-1][self.begins]
        ends = np.maximum.accumulate(before)[self.ends]
        seen = begins < ends
        return Edges(np.where(seen, begins, self.begins), np.where(seen, ends, self.ends))

    def mirrored(self) -> "Edges":
        """The tokens of the text read backwards."""
        return Edges(-self.ends[::-1], -self.begins[::-1])


class Places(NamedTuple):
    """Numbers of the student's tokens that a text's T teacher tokens go to; neither array decreases."""

    starts: Ints
    """(T,) where start logits go."""
    ends: Ints
    """(T,) where end logits go."""


def places(text: str, teacher: Edges, student: Edges) -> Places:
    """Where the logits of a text's tokens go.

    A start logit goes to the last student token that begins at or before the teacher token's first character.
    Where several teacher tokens begin there, and student tokens too (bytes of one letter), the last goes to
    the last, the one before to the one before, and those left over to the first of them. White space
    counts only in tokens that have nothing else; one whose white space is in no student token goes to the
    next one. For end logits, all is the other way round.

    Args:
        text: the raw text.
        teacher: the teacher's T tokens of the whole text.
        student: the student's S tokens of the whole text; without any, all numbers are 0.
    """
    if not len(student.begins):
        nowhere = np.zeros(len(teacher.begins), dtype=np.int64)
        return Places(nowhere, nowhere)
    teacher, student = teacher.read(text), student.read(text)
    backwards = _starts(teacher.mirrored(), student.mirrored())
    return Places(_starts(teacher, student), len(student.begins) - 1 - backwards[::-1])


def _starts(teacher: Edges, student: Edges) -> Ints:
    """Where the start logits go, see `places`."""
    first, number = teacher.begins, np.arange(len(teacher.begins))
    at = np.searchsorted(student.begins, first, side="right") - 1
    at += (at < 0) | (student.begins[at] < first) & (student.ends[at] <= first)
    at = np.minimum(at, len(student.begins) - 1)
    behind = np.searchsorted(first, first, side="right") - 1 - number
    foremost = np.searchsorted(student.begins, student.begins[at], side="left")
    found: Ints = np.where(student.begins[at] == first, np.maximum(at - behind, foremost), at)
    return found


def carried(logits: Logits, where: Ints, length: int) -> Logits:
    """(length,) float32 logits of a window's student tokens, all finite if the teacher's are.

    Args:
        logits: (T,) start or end logits of the window's teacher tokens.
        where: (T,) number of the student token that each one goes to.
        length: tokens of the student's window.
    """
    top, mass = np.full(length, -np.inf), np.zeros(length)
    np.maximum.at(top, where, logits)
    with np.errstate(invalid="ignore"):  # logits that are not finite stay so, and are refused later
        np.add.at(mass, where, np.exp(logits - top[where]))
    given = np.bincount(where, minlength=length) > 0
    found: Logits = (np.log(mass, out=np.zeros(length), where=given) + top).astype(np.float32)
    found[~given] = np.minimum(np.min(found[given]), np.max(found[given]) - np.float32(FLOOR))
    return found


class Unread(NamedTuple):
    """What a teacher does not read of the student's windows, since its own are too short."""

    windows: int = 0
    """All windows that were counted."""
    cut: int = 0
    """Windows whose passage part the teacher does not read to the end."""
    characters: int = 0
    """Characters of all windows' passage parts."""
    lost: int = 0
    """Those of them that the teacher does not read."""

    @classmethod
    def total(cls, parts: Iterable["Unread"]) -> "Unread":
        """The sum of several counts, such as those of all ranks."""
        return cls(*map(sum, zip(*parts, strict=True)))

    def __str__(self) -> str:
        """A sentence, empty if everything is read."""
        if not self.cut:
            return ""
        return (
            f"{self.cut} of {self.windows} windows are longer than the teacher reads: "
            f"it does not see {self.lost / self.characters:.1%} of their passages' characters"
        )


@dataclass(frozen=True)
class Carrying:
    """How a teacher with tokens of its own reads the student's windows."""

    student: FeatureSet
    """The student's windows."""
    own: FeatureSet
    """The same corpus as the teacher's tokens; its window rule plays no part."""
    longest: int
    """Tokens of the teacher's longest input, special ones included."""

    def __post_init__(self) -> None:
        ours, theirs = self.student.corpus, self.own.corpus
        if ours is not theirs and ours.fingerprint() != theirs.fingerprint():
            raise ValueError("teacher and student must read the same corpus")

    def windows(self, ids: Ints) -> tuple[Windows, Unread]:
        """The student's windows with the given feature ids as the teacher's, and what these leave out.

        A window has the teacher tokens that end in or behind the student's first token and begin in or before
        its last one; questions likewise. What is more than `longest` tokens is cut at the end. Fields that
        are not about the tokens themselves, such as `room`, are the student's.
        """
        seen = self.student.windows(ids)
        asked, starts, wanted = np.zeros((3, len(ids)), dtype=np.int64)
        for n, (question, passage) in enumerate(self._places(seen)):
            asked[n] = np.searchsorted(question.starts, seen.question_tokens[n])
            starts[n] = np.searchsorted(passage.ends, seen.start[n])
            wanted[n] = max(starts[n], np.searchsorted(passage.starts, seen.stop[n]))
        room = self.longest - self.own.template.specials
        asked = np.minimum(asked, room)
        none = np.full(len(ids), -1)
        found = replace(
            seen,
            question_tokens=asked,
            start=starts,
            stop=np.minimum(wanted, starts + room - asked),
            first=none,
            last=none,
        )
        return found, self._unread(seen, found, wanted)

    def logits(self, windows: Windows, halves: Logits) -> Iterator[Logits]:
        """For each window, (2, tokens) start and end logits of the student's window with its feature id.

        Args:
            windows: B windows that `windows` gave.
            halves: (2, B, L) start and end logits of their tokens.
        """
        ours, theirs = self.student.template, self.own.template
        seen = self.student.windows(windows.feature)
        for n, texts in enumerate(self._places(seen)):
            asked, read = int(seen.question_tokens[n]), int(seen.stop[n] - seen.start[n])
            middle = len(ours.first) + asked
            passage = middle + len(ours.middle)
            last = passage + read
            length = last + len(ours.last)
            parts = [slice(0, int(windows.question_tokens[n])), slice(windows.start[n], windows.stop[n])]
            found = np.empty((2, length), dtype=np.float32)
            for half in range(2):
                question_at, passage_at = (text[half][part] for text, part in zip(texts, parts, strict=True))
                where = np.concatenate(
                    [
                        _specials(theirs.first, ours.first, 0),
                        len(ours.first) + np.clip(question_at, 0, asked - 1),
                        _specials(theirs.middle, ours.middle, middle),
                        passage + np.clip(passage_at - seen.start[n], 0, read - 1),
                        _specials(theirs.last, ours.last, last),
                    ]
                )
                where[0] = 0  # where the label of a window without the answer is
                found[half] = carried(halves[half, n, : len(where)], where, length)
            yield found

    def _unread(self, seen: Windows, found: Windows, wanted: Ints) -> Unread:
        """What the windows `found` leave out of `seen`; they were to stop before the tokens `wanted`."""
        characters = cut = lost = 0
        edges = zip(self.student.offsets(seen), self.own.offsets(found), strict=True)
        for n, ((begins, ends), (_, read)) in enumerate(edges):
            if not len(begins):
                continue
            characters += int(ends[-1] - begins[0])
            if found.stop[n] < wanted[n]:
                cut += 1
                lost += int(ends[-1] - (read[-1] if len(read) else begins[0]))
        return Unread(len(wanted), cut, characters, lost)

    def _places(self, windows: Windows) -> Iterator[tuple[Places, Places]]:
        """For each window, the places of its whole question and of its whole passage."""
        questions, passages = self.student.question_rows(windows), self.student.passage_rows(windows)
        for n, (question, passage) in enumerate(zip(questions.tolist(), passages.tolist(), strict=True)):
            asked, told = int(windows.question_language[n]), int(windows.passage_language[n])
            yield self._of_text(False, asked, question), self._of_text(True, told, passage)

    @cached_property
    def _of_text(self) -> Callable[[bool, int, int], Places]:
        """Whether a text is a passage, its language's number, its row in the dataset -> its places."""

        def made(passage: bool, number: int, row: int) -> Places:
            language = self.student.languages[number]
            data = self.student.corpus.datasets[language]
            text = data.passages[row] if passage else data.questions[row].text
            sides = self.own, self.student
            tables = [(side.passages if passage else side.questions)[language] for side in sides]
            return places(text, *(_edges(table, row) for table in tables))

        return lru_cache(_TEXTS)(made)


def _edges(table: TokenTable, row: int) -> Edges:
    """The edges of one text's tokens."""
    at = slice(table.rows[row], table.rows[row + 1])
    return Edges(np.asarray(table.begins[at]), np.asarray(table.ends[at]))


def _specials(teacher: tuple[int, ...], student: tuple[int, ...], at: int) -> Ints:
    """Positions that a group of special tokens goes to, in order; those left over go to the last one.

    Args:
        teacher: the teacher's group.
        student: the student's group; if it has none, all go to position 0.
        at: position of the student's group.
    """
    number: Ints = np.arange(len(teacher))
    return at + np.minimum(number, len(student) - 1) if student else 0 * number
