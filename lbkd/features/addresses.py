"""The number of a feature: question, languages and window in one integer."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]


class Address(NamedTuple):
    """Where features lie in a corpus; every field is an (N,) array."""

    question: Ints
    """Index into the corpus's question ids."""
    passage_language: Ints
    """Index into the corpus's languages."""
    question_language: Ints
    """Index into the corpus's languages."""
    window: Ints
    """Number of the window within its pair, from 0."""


@dataclass(frozen=True)
class Addressing:
    """Numbers places, pairs and features of a corpus with K languages.

    A *place* is a question q beside a passage in language k: q * K + k. A *pair* is a place with the question
    asked in language j: place * K + j. A *feature* is a window of a pair: pair << 16 | window. Every number
    depends on nothing but the corpus's order of questions and of languages.
    """

    languages: int
    """K."""

    WINDOW_BITS: ClassVar = 16
    MOST_WINDOWS: ClassVar = 1 << WINDOW_BITS
    """Windows of one pair that can be told apart."""

    def place(self, question: Ints, passage_language: Ints) -> Ints:
        """Numbers of places."""
        return question * self.languages + passage_language

    def pair(self, place: Ints, question_language: Ints) -> Ints:
        """Numbers of pairs."""
        return place * self.languages + question_language

    def feature(self, pair: Ints, window: Ints) -> Ints:
        """Numbers of features, the *feature ids*."""
        return (pair << self.WINDOW_BITS) + window

    def decode(self, features: Ints) -> Address:
        """What feature ids stand for."""
        place, question_language = np.divmod(features >> self.WINDOW_BITS, self.languages)
        return Address(*self.decode_place(place), question_language, features & (self.MOST_WINDOWS - 1))

    def decode_place(self, place: Ints) -> tuple[Ints, Ints]:
        """Question and passage language of places."""
        question, passage_language = np.divmod(place, self.languages)
        return question, passage_language

    def question_of_pair(self, pair: int) -> int:
        """Question of a pair."""
        return pair // self.languages**2
