"""What a backend leaves out, gives back or mixes up is counted and told, whatever the markers say."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from translated_files import ALL, Other, asked, document, only, places, run
from translators import Turned, plain

from lbkd.corpus_translation.memory import Backend, TranslationMemory
from lbkd.corpus_translation.translate import REPORT, Outputs, translate
from lbkd.errors import ConfigError, DataError
from lbkd.progress import Silent
from lbkd.recovery.tally import is_report
from lbkd.translation import Translator

LONG = "The old city of Rome fell, and then the old city of Paris rose; Lima came next"


class Forgetful(Turned):
    """Reads no text of more than so many characters."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[str] = []

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        self.asked += texts
        said = super().translate(texts, source, target)
        return [each if len(text) <= self.most else "" for text, each in zip(texts, said, strict=True)]


@pytest.mark.parametrize("most", [60, 40, 25])
def test_a_sentence_that_is_too_long_is_translated_in_parts(tmp_path: Path, most: int) -> None:
    text = f"Oslo stood. {LONG}."
    content = document((text, [asked("Oslo", text, ("Oslo", 0)), asked("Paris", text, ("Paris", 0))]))
    done, report, _ = run(tmp_path, content, Forgetful(most))
    passage, _ = only(done)
    assert passage == plain(text)
    assert places(done)["Paris"] == [("siraPo", passage.index("siraPo"), "marked")]
    assert report["remarks"] == {
        "sentences translated in parts": {"number": 1, "examples": [{"sentence": f"{LONG}."}]}
    }


def test_a_sentence_that_cannot_be_translated_is_counted_by_name(tmp_path: Path) -> None:
    text = "Oslo stood. Paris."
    content = document((text, [asked("Oslo", text, ("Oslo", 0))]))
    done, report, notes = run(tmp_path, content, Other({"Paris.": ""}))
    assert only(done)[0] == "olsOo dootso."
    assert report["remarks"] == {
        "sentences without translation": {"number": 1, "examples": [{"sentence": "Paris."}]}
    }
    assert notes[-1].endswith("; 1 have no translation, and are tried again by the same command")


def test_an_empty_translation_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Oslo stood. Paris."
    content = document((text, [asked("Oslo", text, ("Oslo", 0))]))
    monkeypatch.setattr(Other, "fingerprint", lambda *_: {})
    run(tmp_path, content, Other({"Paris.": ""}))
    [stored] = (tmp_path / "w").iterdir()
    before = stored.read_text()
    run(tmp_path, content, Other({"Paris.": ""}))
    assert stored.read_text() == before  # tried again in vain
    done, report, notes = run(tmp_path, content, Other({}))
    assert only(done)[0] == plain(text)
    assert report["remarks"] == {}
    assert notes == ["es: 1 texts translated; 3 were known before"]


def test_texts_in_vain_do_not_change_the_batches_of_others(tmp_path: Path) -> None:
    class Two(Forgetful):
        """Takes two texts at once."""

        batch = 2

    texts = ["too long for it", "a", "bb", "ccc"]
    for expected in (["too long for it", "ccc", "bb", "a"], ["d", "too long for it"]):
        translator = Two(10)
        memory = TranslationMemory(tmp_path, Backend("t", translator), "en", "es", lambda *_: None)
        with memory.opened():
            memory.fill(texts, "x")
        assert translator.asked == expected
        assert (memory["too long for it"], memory.lacking) == ("", 1)
        texts.append("d")


def test_passages_that_come_back_as_they_were(tmp_path: Path) -> None:
    one, two = "Rome fell.", "Lima. 1532"
    content = document((one, [asked("Rome", one, ("Rome", 0))]), (two, [asked("Lima", two, ("Lima", 0))]))
    same = {text: text for text in ("Lima.", "1532", "<b>Lima</b>.", two, "<b>Lima</b>. 1532")}
    _, report, _ = run(tmp_path, content, Other(same))
    found = {"number": 1, "examples": [{"passage": two}]}
    assert report["remarks"] == {"passages equal to their source": found}

    class Parrot(Translator):
        """Says what it hears."""

        def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
            return list(texts)

    folder = tmp_path / "all"
    folder.mkdir()
    with pytest.raises(DataError, match=r"gave back every passage as it was.*into 'es'(.|\n)*No file was"):
        run(folder, content, Parrot())
    assert not (folder / "train.es.json").exists()


@pytest.mark.parametrize(
    "marked", ["Cayó al fin Roma ante 20 godos<b>.</b>", "<b>Cayó al fin Roma ante 20 godos.</b>"]
)
def test_markers_that_moved_are_not_believed(tmp_path: Path, marked: str) -> None:
    text, said = "Rome fell at last to 20 Goths.", "Cayó al fin Roma ante 20 godos."
    content = document((text, [asked("Rome", text, ("Rome", 0))]))
    done, report, _ = run(
        tmp_path, content, Other({text: said, f"<b>Rome</b>{text[4:]}": marked, "Rome": "Roma"})
    )
    assert places(done) == {"Rome": [("Roma", 12, "answer")]}
    assert report["markers"] == {"implausible": 1}


def test_a_number_is_not_the_answer(tmp_path: Path) -> None:
    text, said = "Rome fell to 20 Goths.", "Cayó Roma ante 20 godos."
    content = document((text, [asked("Rome", text, ("Rome", 0)), asked("Goths", text, ("Goths", 0))]))
    table = {
        text: said,
        "Rome fell to 20 <b>Goths</b>.": "Cayó Roma ante <b>20</b> godos.",
        "<b>Rome</b> fell to 20 Goths.": "Cayó <b>Roma</b> ante 20 godos.",
    }
    done, report, _ = run(tmp_path, content, Other(table), type(ALL)("tags", ("marked",)))
    assert places(done) == {"Rome": [("Roma", 5, "marked")]}
    [example] = report["reasons"]["markers implausible"]["examples"]
    assert example == {"id": "Goths", "answer": "Goths", "text": said}


def test_different_answers_do_not_fall_together(tmp_path: Path) -> None:
    text, said = "Lima and Rome and old Rome fell.", "Cayeron Lima y la vieja Roma."
    names = ("Lima", "Rome", "old Rome")
    content = document((text, [asked(name, text, (name, 0)) for name in names]))
    table = {text: said, "<b>Lima</b> and Rome and old Rome fell.": "Cayeron Lima y la vieja <b>Roma</b>."}
    table["Lima and <b>Rome</b> and old Rome fell."] = "Cayeron Lima y la vieja <b>Roma</b>."
    table["Lima and Rome and <b>old Rome</b> fell."] = "Cayeron Lima y la <b>vieja Roma</b>."
    _, report, _ = run(tmp_path, content, Other(table), type(ALL)("tags", ("marked",)))
    assert report["reasons"]["another answer's place"]["answers"] == 2  # Lima or Rome, which cannot be told
    assert report["answers"] == {"kept": 1, "discarded": 2}


def test_answers_that_overlap_may_be_translated_alike(tmp_path: Path) -> None:
    text, said = "The Goths fell.", "Cayeron los godos."
    content = document((text, [asked("x", text, ("The Goths", 0), ("Goths", 0))]))
    table = {text: said, "<b>The Goths</b> fell.": "Cayeron los <b>godos</b>."}
    table["The <b>Goths</b> fell."] = "Cayeron los <b>godos</b>."
    done, report, _ = run(tmp_path, content, Other(table))
    assert places(done) == {"x": [("godos", 12, "marked")] * 2}
    example = {"sentence": text, "answers": ["The Goths", "Goths"]}
    assert report["remarks"] == {"places with several answers": {"number": 1, "examples": [example]}}


def test_a_backend_without_markers_is_given_none(tmp_path: Path) -> None:
    class Plain(Forgetful):
        """Knows no marker."""

        markers = False

    text = "Rome fell."
    translator = Plain(99)
    done, report, _ = run(tmp_path, document((text, [asked("x", text, ("Rome", 0))])), translator)
    assert places(done) == {"x": [("emoRo", 0, "answer")]}
    assert (report["markers"], [t for t in translator.asked if "<b>" in t]) == ({}, [])


def test_where_a_language_fails_no_file_is_written(tmp_path: Path) -> None:
    class Spanish(Turned):
        """Ends at the first German text."""

        def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
            if target == "de":
                raise ConfigError("the engine is broken")
            return super().translate(texts, source, target)

    text = "Rome fell."
    source = tmp_path / "train.en.json"
    source.write_text(json.dumps(document((text, [asked("x", text, ("Rome", 0))]))))
    files = {source: {language: tmp_path / f"train.{language}.json" for language in ("es", "de")}}
    with pytest.raises(ConfigError, match=r"engine is broken\nNo file was written; finished translations"):
        translate(Outputs(tmp_path, files), "en", Backend("t", Spanish()), ALL, tmp_path / "w", Silent())
    assert [path.name for path in tmp_path.glob("*.json")] == ["train.en.json"]
    [spanish] = (tmp_path / "w").glob("en-es.*.jsonl")
    assert "emoR" in spanish.read_text()


def test_a_report_is_one(tmp_path: Path) -> None:
    text = "Rome fell."
    run(tmp_path, document((text, [asked("x", text, ("Rome", 0))])), Turned())
    assert is_report(json.loads((tmp_path / REPORT).read_text()))


@pytest.mark.parametrize("value", [{}, [], {"data": []}, {"x": {}}, {"x": {"answers": 1}}])
def test_what_is_no_report(value: object) -> None:
    assert not is_report(value)


CYRILLIC = str.maketrans("abcdefghijklmnopqrstuvwxyz", "абцдефгхијклмнопqрстувwxyз")


class Cyrillic(Turned):
    """Writes Cyrillic letters, but for names that it does not know."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        said = super().translate(texts, source, target)
        return [re.sub(r"(?<!<)(?<!</)\b(?!b>)\w+", lambda m: self.word(m[0]), text) for text in said]

    @staticmethod
    def word(word: str) -> str:
        return word if word == "olsOo" else word.translate(CYRILLIC)


@pytest.mark.parametrize("to", ["sr-Latn", "es", "ja"])
def test_another_script_is_refused(tmp_path: Path, to: str) -> None:
    text = "Oslo stood on the hill in those days."
    content = document((text, [asked("Oslo", text, ("Oslo", 0))]))
    message = rf"train\.en\.json: [\d.]+% of the letters of the translation into '{to}' .* are Cyrillic"
    with pytest.raises(DataError, match=message):
        run(tmp_path, content, Cyrillic(), to=to)
    assert not (tmp_path / f"train.{to}.json").exists()


@pytest.mark.parametrize("to", ["sr", "sr-Cyrl", "mk", "xx"])
def test_names_in_another_script_are_not(tmp_path: Path, to: str) -> None:
    text = "Oslo stood on the hill in those days."
    content = document((text, [asked("Oslo", text, ("Oslo", 0))]))
    done, _, _ = run(tmp_path, content, Cyrillic(), to=to)
    passage, _ = only(done)
    assert passage.startswith("olsOo доотсо ноо")
