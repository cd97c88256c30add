"""The answers of one file in another language."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from translated_files import Other, asked, document, only, places, run
from translators import Damaging, Turned, plain

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.squad import read
from lbkd.corpus_translation.locate import RecoverySettings
from lbkd.errors import DataError
from lbkd.translation.files import Files


def test_start_end_repeated_and_spanning_answers(tmp_path: Path) -> None:
    text = "  Rome fell. Then Rome rose,\n Rome won.  Rome"
    content = document(
        (
            text,
            [
                asked("first", text, ("Rome", 0)),
                asked("third", text, ("Rome", 2), ("Rome won.", 0)),
                asked("last", text, ("Rome", 3)),
                asked("spanning", text, ("fell. Then", 0)),
            ],
        ),
        licence={"by": "é"},
    )
    done, report, _ = run(tmp_path, content, Turned())
    passage, qas = only(done)
    assert passage == "  emoRo llefo. nehTo emoRo esoro,\n".replace("\n", " ") + "emoRo nowo.  emoRo"
    assert places(done) == {
        "first": [("emoRo", 2, "marked")],
        "third": [("emoRo", 34, "marked"), ("emoRo nowo.", 34, "marked")],
        "last": [("emoRo", 47, "marked")],
        "spanning": [("llefo. nehTo", 8, "marked")],
    }
    assert {a["score"] for q in qas for a in q["answers"]} == {1.0}
    assert [q["question"] for q in qas][:1] == ["ohWo sio tsrifo?"]
    assert (done["version"], done["licence"], done["data"][0]["title"]) == ("v", {"by": "é"}, "T")
    how = {"markers": "tags", "methods": ["marked", "answer", "alignment"]}
    assert done["translation"] == {"from": "en", "to": "es", "backend": {"backend": "t"}, "how": how}
    assert report["questions"] == {"source": 4, "kept": 4, "discarded": 0}
    assert report["answers"] == {"kept": 5, "discarded": 0}
    assert report["markers"] == {"sound": 5}


def test_unanswerable_questions(tmp_path: Path) -> None:
    text = "Rome fell."
    plausible = {"is_impossible": True, "plausible_answers": [{"text": "Rome", "answer_start": 0}]}
    content = document((text, [asked("no", text, **plausible), asked("yes", text, ("Rome", 0))]))
    done, report, _ = run(tmp_path, content, Turned())
    no, yes = only(done)[1]
    assert no == {"id": "no", "question": "ohWo sio ono?", "answers": [], "is_impossible": True}
    assert yes["answers"][0]["text"] == "emoRo"
    assert report["questions"] == {"source": 2, "kept": 2, "discarded": 0}


def test_empty_translations(tmp_path: Path) -> None:
    text = "Rome fell. Paris stood. Lima grew."
    questions = [asked(name, text, (name, 0)) for name in ("Rome", "Paris", "Lima")]
    lone = "Nobody spoke."
    content = document((text, questions), (lone, [asked("Nobody", lone, ("Nobody", 0))]))
    silent = {"Paris stood.": "", "Who is Lima?": " ", lone: ""}
    done, report, _ = run(tmp_path, content, Other(silent))
    assert only(done)[0] == "emoRo llefo. amiLo wergo."
    assert places(done) == {"Rome": [("emoRo", 0, "marked")]}
    assert report["passages"] == {"source": 2, "kept": 1, "discarded": 1}
    assert report["questions"] == {"source": 4, "kept": 1, "discarded": 3}
    assert {reason: part["answers"] for reason, part in report["reasons"].items()} == {
        "empty translation": 2,
        "empty question": 1,
    }


def test_each_method_in_its_turn(tmp_path: Path) -> None:
    text = "In Rome. In Paris. In red Lima. In Oslo. In Bonn."
    names = ("Rome", "Paris", "red Lima", "Oslo", "Bonn")
    content = document((text, [asked(name, text, (name, 0)) for name in names]))
    lost = {
        "In <b>Rome</b>.": "nIo <b>ÉMORO</b>.",
        "In <b>Paris</b>.": "nIo sirapo.",
        "In <b>red Lima</b>.": "nIo dero amiLo.",
        "red Lima": "AMILO",
        "In <b>Oslo</b>.": "nIo <b>olsOo.",
        "Oslo": "elsewhere",
        "In <b>Bonn</b>.": "</b>nIo<b>.",
        "Bonn": "elsewhere",
        "In Bonn.": "...",
    }
    done, report, _ = run(tmp_path, content, Other(lost))
    assert places(done) == {
        "Rome": [("emoRo", 4, "marked-normalized")],
        "Paris": [("siraPo", 15, "answer")],
        "red Lima": [("amiLo", 32, "answer-normalized")],
        "Oslo": [("olsOo", 43, "alignment")],
    }
    assert report["markers"] == {"missing": 3, "sound": 1, "swapped": 1}
    assert {name: part["answers"] for name, part in report["methods"].items()} == dict.fromkeys(
        ("marked-normalized", "answer", "answer-normalized", "alignment"), 1
    )
    [lost_one] = report["reasons"]["markers swapped"]["examples"]
    assert lost_one == {"id": "Bonn", "answer": "Bonn", "text": "..."}
    [example] = report["methods"]["answer"]["examples"]
    assert example == {"id": "Paris", "answer": "Paris", "found": "siraPo", "score": 1.0}


@pytest.mark.parametrize(
    ("to", "translations", "passage", "found"),
    [
        (
            "zh",
            ["在罗马。", "在<b>罗马</b>。", "罗马赢了。", "<b>罗马</b>赢了。"],
            "在罗马。 罗马赢了。",
            [("罗马", 1), ("罗马", 5)],
        ),
        (
            "ar",
            ["في روما.", "في <b>روما</b>.", "وروما فازت.", "و<b>روما</b> فازت."],
            "في روما. وروما فازت.",
            [("روما", 3), ("روما", 10)],
        ),
        (
            "hi",
            ["रोम में।", "<b>रोम</b> में।", "रोमि जीता रोमी।", "रोमि जीता <b>रोमी</b>."],
            "रोम में। रोमि जीता रोमी।",
            [("रोम", 0), ("रोमी", 19)],
        ),
    ],
)
def test_scripts(
    tmp_path: Path, to: str, translations: list[str], passage: str, found: list[tuple[str, int]]
) -> None:
    text = "In Rome. Rome won."
    texts = ("In Rome.", "In <b>Rome</b>.", "Rome won.", "<b>Rome</b> won.")
    table = dict(zip(texts, translations, strict=True)) | {f"Who is {n}?": f"{passage} {n}" for n in range(2)}
    content = document((text, [asked(str(n), text, ("Rome", n)) for n in range(2)]))
    done, _, _ = run(tmp_path, content, Other(table), RecoverySettings("tags", ("marked",)), to)
    assert only(done)[0] == passage
    assert [place[:2] for [place] in places(done).values()] == found


def test_sentences_without_space_between_get_one_where_needed(tmp_path: Path) -> None:
    text = "罗马。巴黎。"
    content = document((text, [asked("x", text, ("巴黎", 0))]))
    for to, rome, paris, between in (("es", "Roma.", "París", " "), ("ja", "ローマ。", "パリ", "")):
        table = {"罗马。": rome, "巴黎。": f"{paris}.", "<b>巴黎</b>。": f"<b>{paris}</b>."}
        table["Who is x?"] = f"{paris}?"
        done, _, _ = run(tmp_path, content, Other(table), to=to)
        assert only(done)[0] == f"{rome}{between}{paris}."
        assert [a["answer_start"] for q in only(done)[1] for a in q["answers"]] == [len(rome + between)]


def test_a_very_long_passage_keeps_its_order(tmp_path: Path) -> None:
    names = [f"N{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(400)]
    text = " ".join(f"{name} saw a cat and the cat saw {name}." for name in names)
    content = document((text, [asked(name, text, (name, 1)) for name in names]))
    done, report, _ = run(tmp_path, content, Turned())
    passage, _ = only(done)
    assert passage == plain(text)
    assert report["answers"] == {"kept": 400, "discarded": 0}
    ends = [passage.index(f"{plain(name)}.") for name in names]
    assert [start for [(_, start, _)] in places(done).values()] == ends


def test_markers_damaged_at_known_rates_are_counted_exactly(tmp_path: Path) -> None:
    content = json.loads((BUILTIN_CORPUS / "train.en.json").read_text(encoding="utf-8"))
    translator = Damaging()
    done, report, _ = run(tmp_path, content, translator, RecoverySettings("tags", ("marked",)))
    total = translator.done.total()
    assert report["markers"] == dict(sorted(translator.done.items()))
    assert set(translator.done) == {"sound", "missing", "duplicated", "swapped", "empty", "left over"}
    assert abs(translator.done["sound"] / total - 0.4) < 0.1
    # The sentences are turned word by word: sound markers are found at their very place, all others are lost.
    sound = translator.done["sound"]
    assert report["answers"] == {"kept": sound, "discarded": total - sound}
    assert {name: part["answers"] for name, part in report["methods"].items()} == {"marked": sound}
    assert {name: part["answers"] for name, part in report["reasons"].items()} == {
        f"markers {name}": count for name, count in translator.done.items() if name != "sound"
    }
    source = {q.id: q for q in read(tmp_path / "train.en.json", "en").questions}
    target = read(tmp_path / "train.es.json", "es")
    assert len(target.questions) == report["questions"]["kept"] < report["questions"]["source"]
    for question in target.questions:
        original = source[question.id]
        assert question.text == plain(original.text)
        assert Counter(a.text for a in question.answers) <= Counter(plain(a.text) for a in original.answers)


def test_the_other_methods_find_what_markers_lost(tmp_path: Path) -> None:
    content = json.loads((BUILTIN_CORPUS / "train.en.json").read_text(encoding="utf-8"))
    translator = Damaging()
    _, report, _ = run(tmp_path, content, translator)
    methods = {name: part["answers"] for name, part in report["methods"].items()}
    lost = translator.done.total() - translator.done["sound"]
    assert methods == {"marked": translator.done["sound"], "answer": lost}
    _, report, notes = run(tmp_path, content, Damaging(), RecoverySettings("tags", ("marked", "alignment")))
    assert report["methods"]["marked"]["answers"] == translator.done["sound"]
    assert report["methods"]["alignment"]["answers"] > 0.9 * lost
    assert report["answers"]["kept"] + report["answers"]["discarded"] == translator.done.total()
    assert notes == ["es: 0 texts translated; 464 were known before"]


LETTERS = st.text(st.sampled_from("abç语文.。?! \n\u0301نر"), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(passage=LETTERS.filter(str.strip), data=st.data())
def test_every_kept_answer_is_exactly_at_its_place(
    tmp_path_factory: pytest.TempPathFactory, passage: str, data: st.DataObject
) -> None:
    spans = []
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(passage) - 1))
        end = data.draw(st.integers(start + 1, len(passage)))
        if passage[start:end].strip():
            spans.append({"text": passage[start:end], "answer_start": start})
    if not spans:
        return
    content = document((passage, [{"id": "q", "question": "?", "answers": spans}]))
    folder = tmp_path_factory.mktemp("here")
    try:
        done, report, _ = run(folder, content, Damaging(data.draw(st.integers(0, 99))), to="xx")
    except DataError as error:
        assert "no question could be kept" in str(error)
        return
    text, [question] = only(done)
    for answer in question["answers"]:
        assert text[answer["answer_start"] :].startswith(answer["text"])
        assert answer["text"].strip() == answer["text"] != ""
        assert 0 <= answer["score"] <= 1
    assert report["answers"]["kept"] == len(question["answers"])
    assert report["answers"]["discarded"] == len(spans) - len(question["answers"])


def test_a_backend_that_wants_whole_passages(tmp_path: Path) -> None:
    class Whole(Other):
        """Knows the passage as a whole, and no marked one."""

        sentences = False

    text = "Rome fell. Rome rose."
    content = document((text, [asked("x", text, ("Rome", 1))]))
    done, report, _ = run(
        tmp_path,
        content,
        Whole({text: "Cayó. Roma, Roma.", "Rome": "Roma", f"{text[:11]}<b>Rome</b> rose.": ""}),
    )
    assert only(done)[0] == "Cayó. Roma, Roma."
    assert places(done) == {"x": [("Roma", 12, "answer")]}
    assert report["markers"] == {"missing": 1}


def test_paragraph_breaks_of_own_translations_stay(tmp_path: Path) -> None:
    text = "Rome fell.\n\nRome rose.\n"
    texts = {"p": text, "q": "Who is x?", "a": "Rome"}
    spanish = {"p": "Roma cayó.\n\n  Y Roma\tsurgió.\n", "q": "¿Quién es x?", "a": "Roma"}
    for language, found in (("en", texts), ("es", spanish)):
        (tmp_path / f"texts.{language}.json").write_text(json.dumps(found), encoding="utf-8")
    content = document((text, [asked("x", text, ("Rome", 1))]))
    done, _, _ = run(tmp_path, content, Files(tmp_path / "texts.{language}.json"))
    assert only(done)[0] == "Roma cayó.\n\n  Y Roma\tsurgió.\n"
    assert places(done) == {"x": [("Roma", 16, "answer")]}


def test_nothing_found(tmp_path: Path) -> None:
    text = "Rome."
    content = document((text, [asked("x", text, ("Rome", 0))]))
    message = r"train.en.json: no question could be kept in 'es' \(empty translation: 1\)"
    with pytest.raises(DataError, match=message):
        run(tmp_path, content, Other({"Rome.": ""}))
    assert not (tmp_path / "train.es.json").exists()
