"""Shapes of single corpora: TyDiQA-GoldP's and KorQuAD 2's."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from test_convert_files import lines, tydiqa

from lbkd.conversion.convert import convert
from lbkd.corpus.squad import read

GOLD = {"finnish--267-29": "Tää on syksy.", "korean-525-0": "가을 이다.", "finnish-7-1": "Tää on kevät."}


def asked(id: str, passage: str) -> dict[str, Any]:
    return {"id": id, "question": "?", "answers": [{"text": passage[:3], "answer_start": 0}]}


NESTED = {
    "version": "TyDiQA-GoldP-1.1",
    "data": [
        {"title": "T", "paragraphs": [{"context": passage, "qas": [asked(id, passage)]}]}
        for id, passage in GOLD.items()
    ],
}
ROWS = [
    {**asked(id, passage), "context": passage, "answers": {"text": [passage[:3]], "answer_start": [0]}}
    for id, passage in GOLD.items()
]


@pytest.mark.parametrize("content", [json.dumps(NESTED), json.dumps(ROWS), lines(ROWS)])
@pytest.mark.parametrize("packed", [False, True])
def test_gold_passages_become_a_file_a_language(tmp_path: Path, content: str, packed: bool) -> None:
    """All languages are in one file, and only the ids tell which is which."""
    path = tmp_path / ("tydiqa-goldp-v1.1-train.json" + ".gz" * packed)
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    done = convert([path], tmp_path / "out")
    names = [f"tydiqa-goldp-v1.1-train.{language}.json" for language in ("fi", "ko")]
    assert [(file.path.name, file.questions) for file in done] == list(zip(names, (2, 1), strict=True))
    assert read(done[1].path, "ko").questions[0].answers == (("가을 ".strip(), 0),)


def test_gold_passages_of_one_language(tmp_path: Path, shared_data: Path) -> None:
    """A file of one language keeps its name, its texts and its answers."""
    path = shared_data / "tydiqa" / "dev.fi.json"
    [done] = convert([path], tmp_path / "out")
    assert done.path.name == "dev.fi.json"
    before, after = (read(file, "fi") for file in (path, done.path))
    assert [(q.id, q.text, q.answers) for q in after.questions] == [
        (q.id, q.text, q.answers) for q in before.questions
    ]


def test_primary_records_by_columns(tmp_path: Path) -> None:
    """As the hub has them: without ids, annotations and candidates as columns."""
    record = tydiqa(1, "finnish", (16, 21), 1)
    [note], candidates = record.pop("annotations"), record.pop("passage_answer_candidates")
    del record["example_id"]
    names = ("plaintext_start_byte", "plaintext_end_byte")
    record |= {
        "passage_answer_candidates": {name: [each[name] for each in candidates] for name in names},
        "annotations": {
            "passage_answer_candidate_index": [-1, note["passage_answer"]["candidate_index"]],
            "minimal_answers_start_byte": [-1, note["minimal_answer"][names[0]]],
            "minimal_answers_end_byte": [-1, note["minimal_answer"][names[1]]],
            "yes_no_answer": ["NONE", "NONE"],
        },
    }
    path = tmp_path / "primary.jsonl"
    path.write_text(lines([record, {**record, "language": "thai"}]))
    done = convert([path], tmp_path / "out")
    assert [file.path.name for file in done] == ["primary.fi.json", "primary.th.json"]
    data = read(done[0].path, "fi")
    assert (data.passages, data.questions[0].answers) == (("Tää on syksy.",), (("syksy", 7),))


def test_korquad_2(tmp_path: Path) -> None:
    """One answer in `answer`, a passage with marks of HTML that are part of it, and the page beside it."""
    context = "<h1>서울</h1>\n<table><tr><td>인구</td><td>9,411,000</td></tr></table>"
    table = context[context.index("<table>") :]
    found = [("1", "서울", 4, 99), ("2", table, context.index(table), 240)]
    pages = [
        {
            "title": "서울",
            "url": "https://example.org",
            "context": context,
            "raw_html": f"<!DOCTYPE html><body>{context}</body>",
            "qas": [
                {
                    "id": id,
                    "question": "?",
                    "answer": {
                        "text": text,
                        "answer_start": start,
                        "html_answer_text": text,
                        "html_answer_start": there,
                    },
                }
                for id, text, start, there in found
            ],
        }
    ]
    page = {name: value for name, value in pages[0].items() if name != "qas"}
    rows = [{**page, **question} for question in pages[0]["qas"]]
    for name, value in (("nested", {"version": "KorQuAD_2.1_dev", "data": pages}), ("rows", rows)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(value))
        [done] = convert([path], tmp_path / "out")
        assert (done.counts, done.unplaced) == ({}, 0)
        data = read(done.path, "ko")
        assert data.passages == (context,)
        assert [(q.id, *q.answers[0]) for q in data.questions] == [each[:3] for each in found]
