"""Lists of phrases for tests of masking."""

import json
from pathlib import Path

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.phrases import words_of


@pytest.fixture(scope="session")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phrases for the passages of the corpus that ships: every third run of three words."""
    folder = tmp_path_factory.mktemp("lists")
    for language in ("en", "es"):
        document = json.loads((BUILTIN_CORPUS / f"train.{language}.json").read_text(encoding="utf-8"))
        lines = []
        for article in document["data"]:
            for passage in (paragraph["context"] for paragraph in article["paragraphs"]):
                words = words_of(passage)
                lines += [passage[a.start() : b.end()] for a, b in zip(words[::3], words[2::3], strict=False)]
        text = "".join(f"{' '.join(line.split())}\n" for line in lines)
        (folder / f"{language}.txt").write_text(text, encoding="utf-8")
    return folder
