"""Windows by arithmetic: token counts alone decide where a passage is cut."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from lbkd.errors import ConfigError
from lbkd.features.tokens import Ints

if TYPE_CHECKING:
    from lbkd.config import ModelSettings


class WindowSettings(NamedTuple):
    """The settings that decide how a (question, passage) pair becomes windows; all in tokens."""

    max_length: int
    """Of a window, special tokens included."""
    max_question_tokens: int
    """Of a question; longer ones are cut."""
    step: int
    """From the start of a window to that of the next."""


@dataclass(frozen=True)
class WindowRule:
    """How a (question, passage) pair becomes windows.

    A window holds the question (cut to `max_question_tokens` tokens) and as many passage tokens as fit into
    `max_length`. The next window starts `step` passage tokens later, until one reaches the passage's end.
    """

    max_length: int
    max_question_tokens: int
    step: int
    specials: int
    """Special tokens of a pair."""

    def __post_init__(self) -> None:
        if self.max_length <= self.max_question_tokens + self.specials:
            raise ConfigError(
                f"model.max_length = {self.max_length} leaves no room for a passage beside "
                f"{self.max_question_tokens} question tokens and {self.specials} special ones; "
                "raise model.max_length or lower model.max_question_tokens."
            )

    def room(self, question: Ints) -> Ints:
        """Passage tokens that fit into a window beside questions of `question` tokens."""
        return self.max_length - self.specials - np.minimum(question, self.max_question_tokens)

    def stride(self, question: Ints) -> Ints:
        """Passage tokens between the starts of two windows: `step`, or the room where that is less."""
        return np.minimum(self.step, self.room(question))

    def counts(self, question: Ints, passage: Ints) -> Ints:
        """Windows of pairs with `question` and `passage` tokens; at least 1."""
        beyond = np.maximum(passage - self.room(question), 0)
        counts: Ints = 1 + -(-beyond // self.stride(question))
        return counts


@dataclass(frozen=True)
class Windows:
    """N windows; every field is an (N,) array."""

    feature: Ints
    """Feature id, see `Addressing`."""
    question: Ints
    """Index into the corpus's question ids."""
    passage_language: Ints
    question_language: Ints
    number: Ints
    """Number of the window within its pair, from 0."""
    count: Ints
    """Windows of the pair."""
    question_tokens: Ints
    """Tokens of the question, cut to `max_question_tokens`."""
    start: Ints
    """First passage token of the window."""
    stop: Ints
    """One past the last passage token."""
    room: Ints
    """Passage tokens that fit into the window."""
    stride: Ints
    """Passage tokens between the starts of neighbouring windows."""
    first: Ints
    """Passage token where the answer begins; -1 without an answer in this window."""
    last: Ints
    """Passage token where the answer ends, inclusive; -1 without an answer in this window."""

    @property
    def tokens(self) -> Ints:
        """Question and passage tokens, special ones not counted."""
        return self.question_tokens + self.stop - self.start

    def __getitem__(self, rows: Ints) -> "Windows":
        """The windows with the given numbers in these arrays."""
        return Windows(**{name: values[rows] for name, values in vars(self).items()})

    def owned(self, width: int, passage_tokens: Ints) -> npt.NDArray[np.bool_]:
        """(N, width) bool: True for the passage tokens from `start` on that belong to this window.

        A token in several windows belongs to the window with most context: the smaller of the numbers of
        tokens to its left and right, plus a hundredth of the window's length. At a tie, the earlier window
        has the token.
        """
        owned = np.arange(width) < (self.stop - self.start)[:, None]
        several = np.flatnonzero(self.count > 1)
        token = self.start[several, None] + np.arange(width)
        count, stride, room, most = (
            part[several, None] for part in (self.count, self.stride, self.room, passage_tokens)
        )

        def context(number: Ints) -> Ints:
            start = number * stride
            stop = np.minimum(start + room, most)
            inside = (token >= start) & (token < stop) & (number >= 0) & (number < count)
            score = 100 * np.minimum(token - start, stop - 1 - token) + stop - start
            return np.where(inside, score, -1)

        number = self.number[several, None]
        mine = context(number)
        # From window to window a token's context rises, then falls: its neighbours tell the best one.
        owned[several] &= (mine > context(number - 1)) & (mine >= context(number + 1))
        return owned


def window_settings(model: "ModelSettings") -> WindowSettings:
    """The part of the model's settings that decides how a pair becomes windows."""
    return WindowSettings(model.max_length, model.max_question_tokens, model.window_step)
