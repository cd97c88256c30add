import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from translators import plain

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.squad import inspect_file, read
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


def written_by(path: Path, source: Path | None = None) -> Path:
    return Path(repair([path], source)[str(path)]["written"])


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
    [report] = repair([path], None).values()
    written = tmp_path / "repaired" / "train.es.json"
    assert report["written"] == str(written)
    assert path.read_bytes() == before
    assert answers(written) == {
        "there": ("Roma", 28, ""),
        "near": ("París", 44, "answer"),
        "bytes": ("París", 12, "answer"),
        "negative": ("Roma", 28, "answer"),
        "other case": ("París", 44, "answer-respelt"),
    }
    assert len(read(written, "es").questions) == 5
    assert json.loads(written.read_text(encoding="utf-8"))["kept"] == "as it was"
    assert report["questions"] == {"source": 6, "kept": 5, "discarded": 1}
    assert {name: part["answers"] for name, part in report["methods"].items()} == {
        "in place": 1,
        "answer": 3,
        "answer-respelt": 1,
    }
    assert report["reasons"]["not in the passage"]["answers"] == 1
    assert json.loads((written.parent / REPORT).read_text())["train.es.json"]["questions"]["kept"] == 5


def test_the_source_tells_occurrences_apart(tmp_path: Path) -> None:
    source = write(tmp_path / "en.json", "Rome fell. Then Rome rose. Rome won.", ("q", "Rome", 16))
    passage = "Cayó Roma. Después Roma subió. Roma ganó."
    path = write(tmp_path / "es.json", passage, ("q", "Roma", 0))
    assert answers(written_by(path)) == {"q": ("Roma", 5, "answer")}
    assert answers(written_by(path, source)) == {"q": ("Roma", 19, "answer")}


def test_in_place(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Roma", 0))
    assert repair([path], None, in_place=True)[str(path)]["written"] == str(path)
    assert answers(path) == {"q": ("Roma", 3, "answer")}
    assert (tmp_path / REPORT).exists()
    assert not (tmp_path / "repaired").exists()


def test_a_result_that_was_corrected_by_hand_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Roma", 0))
    result = Path(repair([path], None)[str(path)]["written"])
    repair([path], None)
    result.write_text(corrected := result.read_text().replace("Roma", "Rome"))
    with pytest.raises(DataError, match="not as lbkd wrote"):
        repair([path], None)
    assert result.read_text() == corrected
    repair([path], None, overwrite=True)
    assert answers(result) == {"q": ("Roma", 3, "answer")}


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
    [report] = repair([path], source).values()
    kept = read(Path(report["written"]), "xx").questions
    assert report["methods"].keys() == {"alignment"}
    assert len(kept) == report["questions"]["kept"] > 0.9 * len(gold)
    right = sum(abs(a.start - gold[q.id][0]) <= 1 for q in kept for a in q.answers)
    assert right > 0.8 * len(kept)


def test_other_faults_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Roma", 0), ("q", "Lima", 0))
    with pytest.raises(DataError, match=r"es\.json.*1 fault.*\n.*already that of"):
        repair([path], None)
    assert not (tmp_path / "repaired").exists()


def test_a_source_of_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Roma", 0))
    source = write(tmp_path / "en.json", "in Rome", ("p", "Rome", 3))
    with pytest.raises(DataError, match=r"es\.json: shares no question id with --source .*en\.json"):
        repair([path], source)


def test_nothing_to_be_found(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "en Roma", ("q", "Lima", 0))
    with pytest.raises(DataError, match="no answer is in its passage; nothing was written"):
        repair([path], None)


def shape(name: str, shared_data: Path, tmp_path: Path) -> Path:
    """A writable copy of one of the small files that have the faults of public corpora."""
    return Path(shutil.copy(shared_data / "shapes" / name, tmp_path / name))


def meant(name: str, shared_data: Path) -> dict[str, list[tuple[str, int]]]:
    expected = json.loads((shared_data / "shapes" / "expected.json").read_text(encoding="utf-8"))[name]
    return {id: [(text, start) for text, start in found] for id, found in expected.items() if id[0] != "("}


@pytest.mark.parametrize(
    "name", ["case.it.json", "shifted.ko.json", "no-questions.en.json", "byte-offsets.fr.json"]
)
def test_shapes(name: str, shared_data: Path, tmp_path: Path) -> None:
    path = shape(name, shared_data, tmp_path)
    data = read(written_by(path), "")
    assert {q.id: [tuple(answer) for answer in q.answers] for q in data.questions} == meant(name, shared_data)
    before = json.loads(path.read_text(encoding="utf-8"))["data"]
    assert list(data.passages) == [p["context"] for article in before for p in article["paragraphs"]]


def test_look_alikes(shared_data: Path, tmp_path: Path) -> None:
    path = shape("look-alikes.en.json", shared_data, tmp_path)
    with pytest.raises(DataError, match="no answer is in its passage"):
        repair([path], None)
    report = repair([path], None, min_score=0.3)[str(path)]
    assert report["answers"] == {"kept": 2, "discarded": 3}
    more = {"from": 0, "distance": None, "method": "answer-look-alike", "score": 0.3087}  # 3/4 * 0.98 * 0.42
    assert report["moved"] == [
        {"id": "w", "answer": "WHO", "found": "Who", "to": 0, **more},
        {"id": "i", "answer": "IT", "found": "it", "to": 53, **more},
    ]
    assert repair([path], None, min_score=0.1)[str(path)]["answers"] == {"kept": 5, "discarded": 0}


def test_zero_is_a_place_where_answers_are_there(tmp_path: Path) -> None:
    """The file decides whether an offset of 0 means the beginning or nothing."""
    passage = "Pomeranians bark. A Pomeranian is a dog."
    begins = [("q", "Pomeranian", 0), ("r", "Pomeranians", 0)]
    assert answers(written_by(write(tmp_path / "a.json", passage, *begins)))["q"][1] == 0
    dropped = [("q", "Pomeranian", 0), ("r", "dog", 0), ("s", "bark", 0)]
    assert answers(written_by(write(tmp_path / "b.json", passage, *dropped))) == {
        "q": ("Pomeranian", 20, "answer"),
        "r": ("dog", 36, "answer"),
        "s": ("bark", 12, "answer"),
    }


def test_one_of_several_occurrences_is_told(tmp_path: Path) -> None:
    passage = "He saw Roma. He left Roma for Lima."
    path = write(tmp_path / "a.json", passage, ("Who left", "Roma", -1), ("where", "Lima", -1))
    report = repair([path], None)[str(path)]
    assert [(m["to"], m["score"]) for m in report["moved"]] == [(21, 0.625), (30, 0.75)]
    [(what, told)] = report["remarks"].items()
    assert what == "answers without offset, chosen from several occurrences"
    assert told == {"number": 1, "examples": [{"id": "Who left", "answer": "Roma", "occurrences": 2}]}


@pytest.mark.parametrize(("word", "kept"), [("Roma", 2), ("1900", 1)])
def test_an_aligned_answer_must_be_plausible(tmp_path: Path, word: str, kept: int) -> None:
    """The word in the place of `Rome` must have letters."""
    source = write(tmp_path / "en.json", "Rome fell.", ("q", "Rome", 0), ("r", "fell", 5))
    path = write(tmp_path / "es.json", f"{word} cayó.", ("q", "qqqq", 2), ("r", "cayó", 0))
    report = repair([path], source)[str(path)]
    assert report["answers"]["kept"] == kept


def test_the_report_has_distance_and_method_of_each_answer_that_moved(tmp_path: Path) -> None:
    passage = "Él nació en París; vivió en Roma."
    path = write(
        tmp_path / "es.json", passage, ("in place", "Roma", 28), ("off", "Roma", 26), ("none", "París", -1)
    )
    moved = repair([path], None)[str(path)]["moved"]
    assert [(m["id"], m["from"], m["to"], m["distance"], m["method"], m["score"]) for m in moved] == [
        ("off", 26, 28, 2, "answer", 0.9901),
        ("none", -1, 12, None, "answer", 0.75),
    ]


def test_another_spelling_at_the_place_comes_before_the_source(tmp_path: Path) -> None:
    source = write(tmp_path / "en.json", "The Kingdom fell; a kingdom rose.", ("q", "Kingdom", 4))
    path = write(tmp_path / "it.json", "Il regno cadde; un Regno sorse.", ("q", "Regno", 3))
    assert answers(written_by(path, source)) == {"q": ("regno", 3, "answer-respelt")}


def test_white_space_before_an_answer(tmp_path: Path) -> None:
    path = write(tmp_path / "es.json", "Roma, en Roma hoy", ("stated", "  Roma ", 8), ("dropped", " Roma", 0))
    report = repair([path], None)[str(path)]
    assert [(m["to"], m["found"], m["distance"]) for m in report["moved"]] == [(9, "Roma", 1), (0, "Roma", 0)]


def test_all_files_or_none(tmp_path: Path) -> None:
    good = write(tmp_path / "a.json", "en Roma", ("q", "Roma", 0))
    bad = write(tmp_path / "b.json", "en Roma", ("q", "Roma", 0), ("q", "Lima", 0))
    before = good.read_bytes(), bad.read_bytes()
    with pytest.raises(
        DataError, match=r"b\.json: 1 fault(.*\n)*Nothing was written.*repaired: \S*a\.json\."
    ):
        repair([good, bad], None, in_place=True)
    assert (good.read_bytes(), bad.read_bytes()) == before
    assert sorted(tmp_path.iterdir()) == [good, bad]
    repair([good, good], None)
    assert [path.name for path in (tmp_path / "repaired").iterdir()].count("a.json") == 1


@pytest.mark.parametrize("name", ["train.es.json", "test.en.json"])
def test_a_file_without_faults_is_unchanged(name: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(shutil.copy(BUILTIN_CORPUS / name, folder))
        report = repair([path], None)[str(path)]
        assert (report["moved"], report["offsets"], report["reasons"]) == ([], "characters", {})
        before, after = (json.loads(p.read_text("utf-8")) for p in (path, Path(report["written"])))
        assert before == after


@settings(deadline=None, max_examples=25)
@given(st.text("ab .éß京가\u0301🌞", min_size=1, max_size=40).filter(str.strip), st.data())
def test_shifted_answers(passage: str, data: st.DataObject) -> None:
    """Every kept answer is its slice, of whole characters, and a second repair changes nothing."""
    questions = []
    for number in range(4):
        start = data.draw(st.integers(0, len(passage) - 1))
        text = passage[start : data.draw(st.integers(start + 1, len(passage)))]
        questions.append(
            (str(number), text if text.strip() else passage, start + data.draw(st.integers(-3, 3)))
        )
    with TemporaryDirectory() as folder:
        path = write(Path(folder) / "x.json", passage, *questions, ("whole", passage, 0))
        once = written_by(path)
        assert inspect_file(once, "")[1] == []
        twice = repair([once], None)[str(once)]
        assert twice["moved"] == []
        assert Path(twice["written"]).read_bytes() == once.read_bytes()
