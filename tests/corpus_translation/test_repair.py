import json
from pathlib import Path
from typing import Any

import pytest
from translators import plain

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.squad import read
from lbkd.corpus_translation.repair import REPORT, repair
from lbkd.errors import DataError


def write(path: Path, passage: str, *questions: tuple[str, str, int], **more: Any) -> Path:
    qas = [
        {"id": id, "question": f"{id}?", "answers": [{"text": text, "answer_start": start}]}
        for id, text, start in questions
    ]
    content = {"data": [{"paragraphs": [{"context": passage, "qas": qas}]}], **more}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def answers(path: Path) -> dict[str, tuple[str, int, str]]:
    [article] = json.loads(path.read_text(encoding="utf-8"))["data"]
    return {
        q["id"]: (a["text"], a["answer_start"], a.get("method", ""))
        for q in article["paragraphs"][0]["qas"]
        for a in q["answers"]
    }


def test_answers_that_moved(tmp_path: Path) -> None:
    passage = "Él nació en París; vivió en Roma y murió en París."
    path = write(
        tmp_path / "train.es.json",
        passage,
        ("there", "Roma", 28),
        ("near", "París", 40),
        ("bytes", "París", 13),
        ("negative", "Roma", -1),
        ("other case", "parís", 44),
        ("nowhere", "Lima", 3),
        kept="as it was",
    )
    before = path.read_bytes()
    report = repair(path, None)
    written = tmp_path / "repaired" / "train.es.json"
    assert report["written"] == str(written)
    assert path.read_bytes() == before
    assert answers(written) == {
        "there": ("Roma", 28, ""),
        "near": ("París", 44, "answer"),
        "bytes": ("París", 12, "answer"),
        "negative": ("Roma", 28, "answer"),
        "other case": ("París", 44, "answer-normalized"),
    }
    assert len(read(written, "es").questions) == 5
    assert json.loads(written.read_text(encoding="utf-8"))["kept"] == "as it was"
    assert report["questions"] == {"source": 6, "kept": 5, "discarded": 1}
    assert {name: part["answers"] for name, part in report["methods"].items()} == {
        "in place": 1,
        "answer": 3,
        "answer-normalized": 1,
    }
    assert report["reasons"]["not in the passage"]["answers"] == 1
    assert json.loads((written.parent / REPORT).read_text())["train.es.json"]["questions"]["kept"] == 5


def test_the_source_tells_occurrences_apart(tmp_path: Path) -> None:
    source = write(tmp_path / "en.json", "Rome fell. Then Rome rose. Rome won.", ("q", "Rome", 16))
    passage = "Cayó Roma. Después Roma subió. Roma ganó."
    path = write(tmp_path / "es.json", passage, ("q", "Roma", 0))
    assert answers(Path(repair(path, None)["written"])) == {"q": ("Roma", 5, "answer")}
    assert answers(Path(repair(path, source)["written"])) == {"q": ("Roma", 19, "answer")}


def test_in_place(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Roma", 0))
    assert repair(path, None, in_place=True)["written"] == str(path)
    assert answers(path) == {"q": ("Roma", 3, "answer")}
    assert (tmp_path / REPORT).exists()
    assert not (tmp_path / "repaired").exists()


def test_answers_that_are_in_no_passage_are_found_by_alignment(tmp_path: Path) -> None:
    """Every answer of a translated file is spoilt; where it was is known."""
    source = BUILTIN_CORPUS / "train.en.json"
    content = json.loads(source.read_text(encoding="utf-8"))
    gold = {}
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            for question in paragraph["qas"]:
                question["question"] = plain(question["question"])
                for answer in question["answers"]:
                    start = len(plain(text[: answer["answer_start"]]))
                    gold[question["id"]] = start, start + len(plain(answer["text"]))
                    answer["text"] = "qqqq"
            paragraph["context"] = plain(text)
    path = tmp_path / "train.xx.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    report = repair(path, source)
    kept = read(Path(report["written"]), "xx").questions
    assert report["methods"].keys() == {"alignment"}
    assert len(kept) == report["questions"]["kept"] > 0.9 * len(gold)
    right = sum(abs(a.start - gold[q.id][0]) <= 1 for q in kept for a in q.answers)
    assert right > 0.8 * len(kept)


def test_other_faults_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Roma", 0), ("q", "Lima", 0))
    with pytest.raises(DataError, match=r"es\.json.*1 fault.*\n.*already that of"):
        repair(path, None)
    assert not (tmp_path / "repaired").exists()


def test_a_source_of_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Roma", 0))
    source = write(tmp_path / "en.json", "in Rome", ("p", "Rome", 3))
    with pytest.raises(DataError, match=r"es\.json: shares no question id with --source .*en\.json"):
        repair(path, source)


def test_nothing_to_be_found(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Lima", 0))
    with pytest.raises(DataError, match="no answer is in its passage; nothing was written"):
        repair(path, None)
