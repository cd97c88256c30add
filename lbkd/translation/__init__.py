"""Texts of one language to another: one translator a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from inspect import signature
from typing import Any

from lbkd.registry import Registry


class Translator(ABC):
    """What turns texts into another language.

    Its constructor's typed arguments are its options (`--set translation.NAME=VALUE`). Languages are ISO 639
    codes, as in the names of the corpus files; each translator finds its own codes for them.
    """

    batch: int = 32
    """How many texts are handed over together: what a break may lose."""
    sentences: bool = True
    """Whether it is given passages sentence by sentence; False: whole."""

    @abstractmethod
    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations of `texts`, one for each, in their order.

        Args:
            texts: in language `source`; none is empty, and none comes twice in a run.
            source: ISO 639 code.
            target: ISO 639 code.

        Returns:
            As many texts; an empty one where there is no translation. Never a part of one.
        """

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        """What the translations depend on beside the text, JSON-like: options, hashes of models, versions.

        Stored translations are used again only where it is the same. By default the options, which the
        constructor then must keep under their names.
        """
        return {name: vars(self)[name] for name in signature(type(self)).parameters}

    def check(self, source: str, target: str) -> None:  # noqa: B027, to have nothing to check is usual
        """Called before anything is translated.

        Raises:
            ConfigError: what is needed for this pair of languages is missing.
        """


registry: Registry[Translator] = Registry("lbkd.translation", Translator, section="translation")

_NEVER = 10_000
"""A distance between languages beyond all that langcodes tells, which are thousands at most."""


def nearest_code(language: str, codes: Iterable[str]) -> str | None:
    """The one of a model's own `codes` that means `language`; None if there is none.

    Codes may be of ISO 639-1 or 639-3, with script or country (`es`, `spa`, `spa_Latn`, `es_XX`). One that
    means a macrolanguage's usual member will do: `zho_Hans` for `zh`, `nob` for `no`.
    """
    from langcodes import Language, tag_distance
    from langcodes.tag_parser import LanguageTagError

    def distance(code: str) -> int:
        try:
            same = Language.get(code).language == Language.get(language).language
            far = tag_distance(language, code)
        except LanguageTagError:
            return _NEVER
        return far if same or far <= 1 else _NEVER

    # Of equally near ones the shortest: spa-eng goes before spa-eng_US.
    found = [(code != language and distance(code), len(code), code) for code in codes]
    near = min(found, default=(_NEVER, 0, ""))
    return near[2] if near[0] < _NEVER else None
