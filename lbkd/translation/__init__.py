"""Translators from one language to another, one a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from inspect import signature
from typing import Any

from lbkd.corpus.check import shown
from lbkd.registry import Registry
from lbkd.registry.errors import PluginError
from lbkd.registry.secrets import is_secret


class Translator(ABC):
    """Translates texts from one language to another.

    Languages are ISO 639 codes, as in the names of the corpus files; `nearest_code` finds a model's own code.

    Duties of a subclass, and who checks them:
        A constructor whose typed arguments are the options (`--set translation.NAME.OPTION=VALUE`): names and
            types are checked by the registry.
        `lbkd check translation NAME` tries `check`, `translate` and `fingerprint` on two sentences.
        `translate` returns one string for each text, in order: number and types are checked after each batch,
            the order is not checked.
        A translation is complete or empty, never cut: not checked.
        `fingerprint` changes with everything that changes translations, such as options and weights: not
            checked, but for the value of a secret, which is refused. Stored translations of an equal
            fingerprint and of the same package, version and source are used again.
        `check` raises ConfigError for a pair of languages that cannot be translated: not checked.
    """

    batch: int = 32
    """Number of texts a call of `translate`; an interruption loses at most one batch."""
    sentences: bool = True
    """True: passages are translated sentence by sentence; False: as a whole."""
    markers: bool = True
    """False: no translation keeps markers round words, so that no marked text is given to `translate`."""

    @abstractmethod
    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate texts.

        Args:
            texts: at most `batch` texts in language `source`; no text is empty or repeated in a run.
            source: ISO 639 code.
            target: ISO 639 code.

        Returns:
            One translation for each text, in order; empty for a text that cannot be translated completely.
            Such a text is halved, and the halves are given to `translate`.
        """

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        """A JSON-like value that determines the translation of a text: options, hashes of models, versions.

        By default the constructor's arguments without secrets; the instance must keep them as attributes of
        equal names.
        """
        return {name: vars(self)[name] for name in signature(type(self)).parameters if not is_secret(name)}

    def check(self, source: str, target: str) -> None:  # noqa: B027, most translators have nothing to check
        """Prepare for a pair of languages; called before any text is translated.

        Raises:
            ConfigError: the pair cannot be translated, or a program, file or model is missing.
        """


registry: Registry[Translator] = Registry("lbkd.translation", Translator, section="translation")


def translations(translator: Translator, texts: Sequence[str], source: str, target: str) -> list[str]:
    """Let a translator translate texts; its translations, of which it may return any iterable.

    Raises:
        PluginError: the translator raises, or returns something else than a text for each text.
    """
    who = registry.described(translator)
    with registry.told(translator, "`translate`"):
        found = translator.translate(list(texts), source, target)
        if isinstance(found, str) or not isinstance(found, Iterable):
            raise PluginError(
                f"{who}: `translate` returns a {type(found).__name__}; needed is a list of texts."
            )
        found = list(found)
    for number, text in enumerate(found):
        if not isinstance(text, str):
            raise PluginError(
                f"{who}: `translate` returns {shown(text)} for text {number}; needed is a text, maybe empty."
            )
    if len(found) != len(texts):
        raise PluginError(f"{who}: `translate` returns {len(found)} texts for {len(texts)}.")
    return found


_UNRELATED = 10_000
"""Distance of languages that do not match; the largest distance of langcodes is smaller."""


_SCRIPTS = {"Hang": "Kore"}
"""Code of a script to the code that langcodes has for it: Hangul alone, and Hangul with Han characters."""


def nearest_code(language: str, codes: Iterable[str]) -> str | None:
    """The code of a model that means a language; None if there is none.

    Args:
        language: ISO 639 code.
        codes: the model's codes, of ISO 639-1 or 639-3, with or without script or country (`es`, `spa`,
            `spa_Latn`, `es_XX`). The usual member of a macrolanguage matches: `zho_Hans` for `zh`, `nob` for
            `no`. The script must be the same, where a code without a script means the language's usual one:
            neither `zho_Hans` nor `zh` matches `zh-TW`.
    """
    from langcodes import Language, tag_distance
    from langcodes.tag_parser import LanguageTagError

    def script(language: Language) -> str | None:
        return _SCRIPTS.get(language.script or "", language.script)

    def distance(code: str) -> int:
        try:
            own, asked = Language.get(code).maximize(), Language.get(language).maximize()
            far = tag_distance(language, code)
        except LanguageTagError:
            return _UNRELATED
        same = script(own) == script(asked) and (own.language == asked.language or far <= 1)
        return far if same else _UNRELATED

    def rank(code: str) -> tuple[int, int, str]:
        """The language's own code first, then by distance; the shorter of equally distant codes first."""
        return (0 if code == language else distance(code)), len(code), code

    nearest = min(codes, key=rank, default=None)
    return nearest if nearest is not None and rank(nearest)[0] < _UNRELATED else None
