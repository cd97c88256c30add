"""Translations that the user provides in files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lbkd.corpus.check import load
from lbkd.errors import ConfigError, DataError
from lbkd.translation import Translator
from lbkd.workspace import file_hash


class Files(Translator):
    """Looks translations up in files of your own: one file a language, joined by line or by id.

    A `.json` file is one object, id to text. A `.jsonl` file has one object with `id` and `text` a line. Any
    other file has one text a line, and equally many lines in all languages. The texts of the source language
    are whole passages, questions and, optionally, answers; white space is not compared. The first translation
    of a repeated text is used. A text that is missing, or whose translation is missing or empty, has no
    translation.

    Args:
        path: path of the files, with {language} for the language: `texts/train.{language}.txt`.
    """

    batch = 4096
    sentences = False
    markers = False

    def __init__(self, path: Path) -> None:
        if "{language}" not in str(path):
            raise ConfigError(
                f"path = {str(path)!r}: must hold {{language}}, as in texts/train.{{language}}.txt"
            )
        self.path = path
        self._tables: dict[tuple[str, str], dict[str, str]] = {}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        table = self._table(source, target)
        return [table.get(_words(text), "") for text in texts]

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        return {"source": file_hash(self._file(source)), "target": file_hash(self._file(target))}

    def check(self, source: str, target: str) -> None:
        self._table(source, target)

    def _table(self, source: str, target: str) -> dict[str, str]:
        """Source text to translation; the files are read at the first call."""
        if (source, target) not in self._tables:
            ours, theirs = self._file(source), self._file(target)
            before, after = _read(ours), _read(theirs)
            if 0 in before and len(before) != len(after):
                raise DataError(
                    f"{theirs} has {len(after)} lines, {ours} has {len(before)}: files by line need one for "
                    "each text, an empty one where there is no translation."
                )
            table: dict[str, str] = {}
            for key, text in before.items():
                table.setdefault(_words(text), after.get(key, "").strip())
            self._tables[source, target] = table
        return self._tables[source, target]

    def _file(self, language: str) -> Path:
        file = Path(str(self.path).replace("{language}", language))
        if not file.is_file():
            raise ConfigError(f"translation.files.path = {str(self.path)!r}: there is no file {file}.")
        return file


def _read(file: Path) -> dict[str | int, str]:
    """A file's texts by id, or by line number from 0."""
    if file.suffix == ".json":
        texts, fault = load(file)
        if fault:
            raise DataError(f"{file}: {fault.message}; {fault.remedy}.")
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise DataError(f"{file}: expected one object, from id to text.")
        return dict(texts)
    try:
        content = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as UTF-8 text: {error}") from error
    lines = content.removesuffix("\n").split("\n")
    if file.suffix != ".jsonl":
        return dict(enumerate(lines))
    found: dict[str | int, str] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"{file}, line {number}"
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where}: not JSON: {error}") from error
            if not isinstance(entry, dict) or not all(isinstance(entry.get(k), str) for k in ("id", "text")):
                raise DataError(f"{where}: expected an object with the strings `id` and `text`.")
            if entry["id"] in found:
                raise DataError(f"{where}: the id {entry['id']!r} came before.")
            found[entry["id"]] = entry["text"]
    return found


def _words(text: str) -> str:
    """A text with every run of white space as one space, by which texts are compared."""
    return " ".join(text.split())
