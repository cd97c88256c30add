"""Translators for tests: a language that can be checked by hand, and markers that get lost at known rates."""

import re
from collections import Counter
from collections.abc import Sequence

from lbkd.translation import Translator

DAMAGES = {
    "sound": 0.4,
    "missing": 0.2,
    "duplicated": 0.1,
    "swapped": 0.1,
    "empty": 0.1,
    "left over": 0.1,
}
"""What becomes of the markers, and how often."""


def word(text: str) -> str:
    """A word of the other language: the letters turned round, and an end."""
    return f"{text[::-1]}o"


def plain(text: str) -> str:
    """A text of the other language, word by word in the same order."""
    return re.sub(r"[^\W\d_]+", lambda match: word(match[0]), text)


class Turned(Translator):
    """Turns every word round, and leaves tags alone."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        return [
            "".join(part if re.fullmatch("</?b>", part) else plain(part) for part in self.parts(text))
            for text in texts
        ]

    @staticmethod
    def parts(text: str) -> list[str]:
        """Text and tags in turn."""
        return re.split("(</?b>)", text)


class Damaging(Turned):
    """The same, with markers damaged at the rates of `DAMAGES`; the same text always in the same way."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.done: Counter[str] = Counter()

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        return [self.damaged(text) for text in super().translate(texts, source, target)]

    def damaged(self, text: str) -> str:
        """A marked text with its markers damaged."""
        import random

        if "<b>" not in text:
            return text
        chance = random.Random(f"{self.seed} {text}")
        [what] = chance.choices(list(DAMAGES), list(DAMAGES.values()))
        self.done[what] += 1
        before, _, inner, _, after = self.parts(text)
        if what == "missing":
            return chance.choice([f"{before}{inner}{after}", f"{before}<b>{inner}{after}"])
        return {
            "sound": f"{before}<B>{inner}</ b >{after}",
            "duplicated": f"{before}<b><b>{inner}</b>{after}",
            "swapped": f"{before}</b>{inner}<b>{after}",
            "empty": f"{before}<b></b>{inner}{after}",
            "left over": f"{before}<b>{inner}</b>{after} <b",
        }[what]
