"""Answers that differ from their passage, or end inside a character, are told as what they are."""

import json
import unicodedata
from pathlib import Path

import pytest

from lbkd.corpus.check import Fault
from lbkd.corpus.differences import difference
from lbkd.corpus.squad import inspect_file, read
from lbkd.corpus_translation.repair import repair


def written(path: Path, passage: str, answer: str, start: int) -> Path:
    question = {"id": "q", "question": "?", "answers": [{"text": answer, "answer_start": start}]}
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": passage, "qas": [question]}]}]}))
    return path


def only_fault(path: Path) -> Fault:
    [fault] = inspect_file(path, "")[1]
    return fault


NFD = unicodedata.normalize("NFD", "Pintó José el mural.")


@pytest.mark.parametrize(
    ("passage", "cut", "whole"),
    [
        (NFD, "Jose", "Jose\u0301"),
        ("الكتاب كتابًا هنا", "كتاب", "كتاب"),  # the first occurrence is whole
        ("قرأ كِتَابًا هنا", "كِتَاب", "كِتَابً"),  # tanwin left off
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", "\u1112\u1161", "\u1112\u1161\u11ab"),  # jamo
        ("जॉयस्टिकों की", "जॉयस्टिक", "जॉयस्टिकों"),
        ("a \U0001f469\u200d\U0001f467 b", "\U0001f469", "\U0001f469\u200d\U0001f467"),
        ("vie\u0323\u0302t nam", "vie\u0323", "vie\u0323\u0302"),
        ("ที่นี่", "ท", "ที่"),
    ],
)
def test_cut_characters(tmp_path: Path, passage: str, cut: str, whole: str) -> None:
    path = written(tmp_path / "x.json", passage, cut, passage.index(cut))
    assert read(path, "").questions[0].answers[0].text == cut  # evaluation takes public test sets as they are
    if whole == cut:
        assert inspect_file(path, "")[1] == []
    else:
        fault = only_fault(path)
        assert fault.kind == "cut character"
        assert "`lbkd data repair` sets the whole text" in fault.remedy
    [report] = repair([path], None).values()
    [answer] = read(Path(report["written"]), "").questions[0].answers
    assert answer == (whole, passage.index(whole))
    assert report["methods"].keys() == {"in place" if whole == cut else "whole characters"}
    assert inspect_file(Path(report["written"]), "")[1] == []


@pytest.mark.parametrize(
    ("passage", "answer", "name", "mended"),
    [
        (NFD, "José", "Unicode composition (NFC or NFD)", True),
        ("Pintó José el mural.", "Jose\u0301", "Unicode composition (NFC or NFD)", True),
        ("the zero\u200bwidth space", "zerowidth", "invisible characters", True),
        ("soft hy\u00adphen", "hyphen", "invisible characters", True),
        ("black &amp; white", "black & white", "HTML entities", True),
        ("black & white", "black &amp; white", "HTML entities", True),
        ("in New York", "new york", "case", True),
        ("in New\u00a0York", "New York", "white space", True),
        ("ｆｕｌｌ width", "full", "compatibility forms", True),
        (f"In {NFD}", "josé", "Unicode composition (NFC or NFD) and case", True),
        ("Rome fell.", "Paris", "it does not occur in the passage", False),
    ],
)
def test_differences(tmp_path: Path, passage: str, answer: str, name: str, mended: bool) -> None:
    path = written(tmp_path / "x.json", passage, answer, 0)
    fault = only_fault(path)
    assert fault.kind == "misplaced answer"
    assert name in fault.message
    assert ("`lbkd data repair` takes" in fault.remedy) is mended
    if mended:
        repaired = Path(repair([path], None)[str(path)]["written"])
        [answer_found] = read(repaired, "").questions[0].answers
        assert difference(answer_found.text, answer) is not None


def test_one_name_where_one_is_enough() -> None:
    assert difference("José", NFD) == "Unicode composition (NFC or NFD)"
    assert difference("a  b", "A\nb") == "white space and case"
    assert difference("\u200b", "abc") is None


def test_an_answer_at_its_place_in_another_case(tmp_path: Path) -> None:
    fault = only_fault(written(tmp_path / "x.json", "il regno Unito; il Regno Unito", "Regno Unito", 3))
    assert "it occurs at 19, farther than in another spelling" in fault.message
    assert fault.remedy.startswith("`lbkd data repair` takes 'regno Unito' at 3 (score 0.98); if the other")
