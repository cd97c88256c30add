"""A translator for lbkd, in a package of its own."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lbkd import Translator
from lbkd.errors import ConfigError


class WordList(Translator):
    """Word by word, by a file with a word, a tab and its translation on each line; other words stay.

    One file is for one pair of languages.

    Args:
        file: the words.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def check(self, source: str, target: str) -> None:
        try:
            lines = self.file.read_text(encoding="utf-8").splitlines()
            self.words = dict(line.split("\t") for line in lines if line)
        except (OSError, ValueError) as error:
            raise ConfigError(f"translation.word-list.file = {str(self.file)!r}: {error}") from error

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        """The content of the file, so that an edited file translates anew."""
        return {"words": hashlib.sha256(self.file.read_bytes()).hexdigest()}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        return [re.sub(r"\w+", lambda word: self.words.get(word[0], word[0]), text) for text in texts]
