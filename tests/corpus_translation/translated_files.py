"""Small files to translate, and what became of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from translators import Turned

from lbkd.corpus.squad import read
from lbkd.corpus_translation.locate import RecoverySettings
from lbkd.corpus_translation.memory import Backend
from lbkd.corpus_translation.translate import Outputs, translate
from lbkd.progress import Silent
from lbkd.recovery.recover import FAMILIES
from lbkd.translation import Translator

ALL = RecoverySettings("tags", FAMILIES)


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def document(*passages: tuple[str, list[dict[str, Any]]], **fields: Any) -> dict[str, Any]:
    paragraphs = [{"context": text, "qas": qas} for text, qas in passages]
    return {"version": "v", "data": [{"title": "T", "paragraphs": paragraphs}], **fields}


def asked(id: str, passage: str, *answers: tuple[str, int], **fields: Any) -> dict[str, Any]:
    """A question; an answer's number says which of its occurrences is meant."""
    found = []
    for text, number in answers:
        start = -1
        for _ in range(number + 1):
            start = passage.index(text, start + 1)
        found.append({"text": text, "answer_start": start})
    return {"id": id, "question": f"Who is {id}?", "answers": found, **fields}


def run(
    folder: Path,
    content: dict[str, Any],
    translator: Translator,
    recovery: RecoverySettings = ALL,
    to: str = "es",
    overwrite: bool = False,
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The translated file, the report on it, and the notes."""
    source, target = folder / "train.en.json", folder / f"train.{to}.json"
    source.write_text(json.dumps(content), encoding="utf-8")
    listener = Notes()
    outputs = Outputs(folder, {source: {to: target}}, overwrite)
    report = translate(outputs, "en", Backend("t", translator), recovery, folder / "w", listener)
    read(target, to)
    return json.loads(target.read_text(encoding="utf-8")), report[target.name], listener.notes


def only(done: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The passage and the questions of a file with one passage."""
    [paragraph] = done["data"][0]["paragraphs"]
    return paragraph["context"], paragraph["qas"]


def places(done: dict[str, Any]) -> dict[str, list[tuple[str, int, str]]]:
    _, qas = only(done)
    return {q["id"]: [(a["text"], a["answer_start"], a["method"]) for a in q["answers"]] for q in qas}


class Other(Turned):
    """Says what is in a table, and the rest as `Turned`."""

    def __init__(self, table: dict[str, str]) -> None:
        self.table = table

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        others = super().translate(texts, source, target)
        return [self.table.get(text, turned) for text, turned in zip(texts, others, strict=True)]
