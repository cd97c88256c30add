"""What the page holds, and what is said of runs that do not hold it."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from reported import ANSWERS, ARABIC, ASKED, ENGLISH, F1, workspace

from lbkd.config import Settings
from lbkd.errors import ConfigError, DataError
from lbkd.reporting.report import Report, write_report


class Parts(HTMLParser):
    """Scripts, ids and addresses of a page, and its text outside of scripts and styles."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.inside = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag if tag in ("script", "style") else ""
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts.append(data)
        elif not self.inside:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


@pytest.fixture(scope="module")
def parts(written: Report) -> Parts:
    return Parts(written.page)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return workspace(tmp_path)


def report(place: Path, *names: str, settings: Settings | None = None) -> Report:
    runs = {name: place / "runs" / name for name in names}
    return write_report(runs, settings or Settings(), place / "report.html")


def test_scores_with_intervals_and_zero_shot(parts: Parts) -> None:
    text = " ".join(parts.text.split())
    assert f"{F1['baseline']['en']:.1f}[" in text
    assert "50.0*[0.0, 100.0]EM 50.0" in text
    assert "F1 on test, zero-shot languages starred" in text


def test_texts_are_in_the_data_once(parts: Parts) -> None:
    """As they are, whatever they hold; of the two scripts one is data, and no text begins a third."""
    data, code = parts.scripts
    found = json.loads(data)
    assert [text["en"]["passages"] for text in found["texts"].values()] == [[ENGLISH]]
    assert [text["ar"]["passages"] for text in found["texts"].values()] == [[ARABIC]]
    assert code.startswith('"use strict"')
    [english] = [view for view in found["views"] if (view["set"], view["passage"]) == ("test", "en")]
    for name, answers in ANSWERS.items():
        assert [answer[0] for answer in english["answers"][name]] == answers["en"]
    assert [found["texts"][english["texts"]]["en"]["questions"][n][0] for n in english["asked"]] == ASKED[
        "en"
    ]
    gap = english["differences"]["baseline"]["student"]
    assert gap[0] == round(F1["baseline"]["en"] - F1["student"]["en"], 1)
    assert gap[1] <= gap[0] <= gap[2]


def test_offsets_of_golds(parts: Parts) -> None:
    [texts] = json.loads(parts.scripts[0])["texts"].values()
    golds = [[ENGLISH[start:end] for start, end in question[2]] for question in texts["en"]["questions"]]
    assert golds == [["Ann"], ["Rome"], ["in 1843"], ["Bob"]]


def test_questions_in_another_language_keep_their_wording(parts: Parts) -> None:
    found = json.loads(parts.scripts[0])
    [view] = [each for each in found["views"] if (each["passage"], each["question"]) == ("ar", "en")]
    texts = found["texts"][view["texts"]]
    assert [texts["en"]["questions"][n][0] for n in view["wordings"]] == ASKED["en"][:2]
    assert [texts["ar"]["questions"][n][0] for n in view["asked"]] == ASKED["ar"]


def test_nothing_is_loaded_and_ids_are_unique(parts: Parts) -> None:
    assert len(parts.ids) == len(set(parts.ids))
    assert all(address.startswith(("#", "data:")) for address in parts.addresses)
    targets = {address[1:] for address in parts.addresses if address.startswith("#")}
    assert targets <= set(parts.ids)


def test_plots_are_files_too(written: Report) -> None:
    names = {path.name for path in written.plots}
    assert names == {
        *("scores-test.png", "matrix-student-test-all-pairs-of-languages.png", "selection.png"),
        *("losses-student.png", "weights-student.png", "reliability-student.png", "risk-student.png"),
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written.plots)


def test_curves_are_told_in_words(parts: Parts) -> None:
    assert "loss from 5 to 1.25; nll from 4 to 1; kd from 1 to 0.25." in parts.text
    assert "tokens_per_second" not in parts.text


def test_weights_of_the_teachers_are_told_in_words(parts: Parts) -> None:
    assert "The highest for passages in en: en 62.5; es: en 50.0; all: en 56.2." in parts.text


def test_what_a_run_lacks_is_told(written: Report, parts: Parts) -> None:
    curves, reliability = written.lacks["baseline"]
    assert "no metrics.jsonl" in curves
    assert "lbkd calibrate" in reliability
    assert written.lacks["student"] == []
    assert curves in parts.text


def test_texts_that_changed_or_went_are_told(place: Path) -> None:
    corpus = place / "corpus"
    english = corpus / "test.en.json"
    former = english.read_text(encoding="utf-8")
    english.write_text(former.replace("Bob left", "Bob quit"), encoding="utf-8")
    found = report(place, "student")
    assert "is not what was scored" in found.lacks["student"][0]
    assert 'id="data"' not in found.page.read_text(encoding="utf-8")
    assert "EM 50.0" in found.page.read_text(encoding="utf-8")
    english.write_text(former, encoding="utf-8")
    corpus.rename(place / "moved")
    assert f"there is no {english}" in report(place, "student").lacks["student"][0]
    moved = Settings.model_validate({"corpus": {"dir": str(place / "moved")}})
    assert report(place, "student", settings=moved).lacks["student"] == []


def test_texts_of_some_of_the_questions(place: Path) -> None:
    """As with corpus.limit: what was answered is what was asked."""
    for language, more in (("en", "Nobody asked."), ("ar", "لا أحد.")):
        path = place / "corpus" / f"test.{language}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        asked = [{"id": "q9", "question": "Who?", "answers": [{"text": more, "answer_start": 0}]}]
        content["data"][0]["paragraphs"].insert(0, {"context": more, "qas": asked})
        path.write_text(json.dumps(content), encoding="utf-8")
    found = report(place, "student")
    assert found.lacks["student"] == []
    [texts] = json.loads(Parts(found.page).scripts[0])["texts"].values()
    assert texts["en"]["passages"] == [ENGLISH]


def test_scores_of_another_model_are_told(place: Path) -> None:
    (place / "runs/baseline/model/weights").write_text("new", encoding="utf-8")
    from lbkd.workspace import write_manifest

    write_manifest(place / "runs/baseline/model")
    first, second, *_ = report(place, "baseline").lacks["baseline"]
    assert "eval/test.json is of another model than is there now" in first
    assert "no scores" in second


@pytest.mark.parametrize(
    "name",
    ["eval/test.json", "eval/test.en.json", "metrics.jsonl", "calibration.json", "audit.json", "run.json"],
)
@pytest.mark.parametrize("how", ["cut", "changed"])
def test_damaged_files_are_refused(place: Path, name: str, how: str) -> None:
    path = place / "runs/student" / name
    text = path.read_text(encoding="utf-8")
    changed = text[: len(text) // 2] if how == "cut" else text.replace("step", "stop").replace("1", "2")
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(str(path))):
        report(place, "student")


def test_a_users_file_is_kept(place: Path) -> None:
    page = report(place, "student").page
    report(place, "student")
    page.write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="not as lbkd wrote"):
        report(place, "student")
    assert page.read_text(encoding="utf-8") == "mine"


def test_answers_without_scores_are_told(place: Path) -> None:
    """As an evaluation leaves them that was stopped."""
    (place / "runs/student/eval/test.json").unlink()
    [lack] = report(place, "student").lacks["student"]
    assert "no scores for eval/test.ar.json, eval/test.en.json: the evaluation goes on" in lack


def test_no_runs_are_refused(place: Path) -> None:
    with pytest.raises(ConfigError, match="no finished run to report on in lbkd-work;"):
        report(place)


def test_places_that_cannot_be_written_are_told_first(place: Path) -> None:
    runs = {"student": place / "runs/student"}
    with pytest.raises(ConfigError, match=r"is a folder; --out names the file"):
        write_report(runs, Settings(), place)
    with pytest.raises(ConfigError, match=r"run.json is a file; --png names a folder"):
        write_report(runs, Settings(), place / "page.html", place / "runs/student/run.json")
    assert not (place / "page.html").exists()


def test_thousands_of_answers_stay_small(place: Path) -> None:
    """A language's texts come once: twice the runs add their answers alone."""
    one = report(place, "student").page.stat().st_size
    shutil.copytree(place / "runs/student", place / "runs/copy")
    two = write_report(
        {name: place / "runs" / name for name in ("student", "copy")}, Settings(), place / "two.html"
    )
    assert two.page.read_text(encoding="utf-8").count("Bob left Rome") == 1
    assert two.page.stat().st_size < 2 * one
