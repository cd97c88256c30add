"""Answers as the official scripts compare them: lower case, without punctuation and articles, as tokens.

The scripts compare normalized strings for EM and their words for F1. A normalized string is its tokens joined
by single spaces, so tokens alone serve both.
"""

import re
import string
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from lbkd.errors import ConfigError, nearest

METRICS: tuple[str, ...] = ("mlqa", "squad-v1", "squad-v2")
"""The metrics, by name."""

Tokens = tuple[str, ...]
Tokenizer = Callable[[str], Tokens]

_CACHED_ANSWERS = 1 << 16  # per tokenizer; the reference answers of a benchmark fit, so they are split once


class _Deletions(dict[int, int | None]):
    """A `str.translate` table that is filled character by character on first use; `None` deletes."""

    def __init__(self, deleted: Callable[[str], bool]) -> None:
        self._deleted = deleted

    def __missing__(self, code: int) -> int | None:
        kept = self[code] = None if self._deleted(chr(code)) else code
        return kept


def _is_ascii_punctuation(character: str) -> bool:
    return character in string.punctuation


def _is_punctuation(character: str) -> bool:
    """ASCII punctuation, its symbols ($+<=>^`|~) included, and every Unicode category P*."""
    return character in string.punctuation or unicodedata.category(character).startswith("P")


_LETTER = r"[\w\u0300-\u036f]"
"""The characters of words: `\\w`, as in the scripts, and the combining marks of Latin letters."""


def _words(words: str) -> Callable[[str], str]:
    """Turn each of these whole words into a space, in composed and in decomposed text.

    To the official patterns a combining mark ends a word, so that the "a" of a decomposed "á" is an article.
    """
    spellings = [unicodedata.normalize(form, word) for word in words.split() for form in ("NFC", "NFD")]
    any_of = "|".join(dict.fromkeys(spellings))
    pattern = re.compile(rf"(?<!{_LETTER})(?:{any_of})(?!{_LETTER})")
    return lambda text: pattern.sub(" ", text)


def _nothing(text: str) -> str:
    return text


def _arabic_article(text: str) -> str:
    """Turn every `ال` into a space, inside words too: the official pattern asks for no boundary."""
    return text.replace("ال", " ")


_HAN = re.compile("[\u4e00-\u9fa5]")


def _chinese_characters(text: str) -> str:
    """Make each character of U+4E00–U+9FA5 a token; other scripts stay split at white space."""
    return _HAN.sub(r" \g<0> ", text)


def _tokenizer(punctuation: _Deletions, prepare: Callable[[str], str]) -> Tokenizer:
    @lru_cache(maxsize=_CACHED_ANSWERS)
    def tokens(text: str) -> Tokens:
        return tuple(prepare(text.lower().translate(punctuation)).split())

    return tokens


_ENGLISH = _words("a an the")
_UNICODE = _Deletions(_is_punctuation)
_SQUAD = _tokenizer(_Deletions(_is_ascii_punctuation), _ENGLISH)
_MLQA = {
    "ar": _tokenizer(_UNICODE, _arabic_article),
    "de": _tokenizer(_UNICODE, _words("ein eine einen einem eines einer der die das den dem des")),
    "en": _tokenizer(_UNICODE, _ENGLISH),
    "es": _tokenizer(_UNICODE, _words("un una unos unas el la los las")),
    "hi": _tokenizer(_UNICODE, _nothing),
    "vi": _tokenizer(_UNICODE, _words("của là cái chiếc những")),
    "zh": _tokenizer(_UNICODE, _chinese_characters),
}

MLQA_LANGUAGES: tuple[str, ...] = tuple(_MLQA)
"""The languages, those of the passages, whose answers the metric `mlqa` can score."""


def tokenizer(metric: str, language: str) -> Tokenizer:
    """The function that splits an answer into the tokens that `metric` compares, by the official rules.

    Lower case; punctuation deleted (not replaced, so "U.S." is one token "us"); articles turned into spaces;
    split at white space. `mlqa` deletes all Unicode punctuation and knows the articles of `language`, the
    passage's; both SQuAD metrics delete ASCII punctuation and know English articles whatever the language.

    Raises:
        ConfigError: no such metric, or a language that `mlqa` does not know.

    """
    if metric not in METRICS:
        raise ConfigError(f"no metric {metric!r}; {nearest(metric, METRICS)}")
    if metric != "mlqa":
        return _SQUAD
    if language not in _MLQA:
        raise ConfigError(
            f"the metric 'mlqa' has no rules for the language {language!r}; {nearest(language, _MLQA)} "
            "The metric 'squad-v1' takes any language."
        )
    return _MLQA[language]
