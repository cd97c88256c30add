import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd.corpus.squad import read

SQUAD2 = {
    "data": [
        {
            "title": "Pets",
            "paragraphs": [
                {
                    "context": "The cat sat.",
                    "qas": [
                        {"id": "a", "question": "Who?", "answers": [{"text": "cat", "answer_start": 4}]},
                        {"id": "b", "question": "Why?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ]
}


def right(gold: Path) -> dict[str, str]:
    """The first reference answer of every question."""
    return {question.id: question.answers[0].text for question in read(gold, "en").questions}


@pytest.mark.parametrize("metric", ["mlqa", "squad-v1", "squad-v2"])
def test_reference_answers_are_right(
    lbkd: Callable[..., Any], wrote: Callable[..., Path], gold: Path, metric: str
) -> None:
    predictions = wrote("p.json", right(gold))
    found = lbkd("score", gold, predictions, "--metric", metric, "--json")
    assert (found.code, found.err) == (0, "")
    assert {"exact_match": 100.0, "f1": 100.0, "questions": 54, "missing": 0}.items() <= found.json.items()
    lines = lbkd("score", gold, predictions, "--metric", metric).out.splitlines()
    assert [line.split() for line in lines[:3]] == [["metric", metric], ["exact_match", "100"], ["f1", "100"]]


def test_one_in_two_words_is_right(lbkd: Callable[..., Any], wrote: Callable[..., Path]) -> None:
    document = json.loads(json.dumps(SQUAD2))
    document["data"][0]["paragraphs"][0]["qas"].pop()
    gold, predictions = wrote("g.json", document), wrote("p.json", {"a": "The black cat!"})
    # precision 1/2, recall 1
    assert lbkd("score", gold, predictions, "--json").json["f1"] == pytest.approx(200 / 3)
    assert "66.66666667" in lbkd("score", gold, predictions).out


def test_missing_predictions_are_told(
    lbkd: Callable[..., Any], wrote: Callable[..., Path], gold: Path
) -> None:
    some = dict([*right(gold).items()][:27])
    predictions = wrote("p.json", {**some, "stranger": "x"})
    done = lbkd("score", gold, predictions, "--json")
    assert done.json["f1"] == 50
    assert done.json["missing"] == 27
    assert done.err == "27 of 54 questions have no prediction and count 0\n"
    done = lbkd("score", gold, predictions, "--metric", "squad-v2", "--json")
    assert done.json["f1"] == 100
    assert done.err == "27 of 54 questions have no prediction and are left out\n"


def test_no_answer(lbkd: Callable[..., Any], wrote: Callable[..., Path]) -> None:
    gold, predictions = wrote("g.json", SQUAD2), wrote("p.json", {"a": "cat", "b": "cat"})
    odds = wrote("o.json", {"a": 0.1, "b": 1})
    found = lbkd("score", gold, predictions, "--metric", "squad-v2", "--no-answer", odds, "--json").json
    assert found["exact_match"] == 50
    assert (found["best_f1"], found["best_f1_threshold"]) == (100, 0.1)
    assert (found["has_answer_f1"], found["no_answer_f1"]) == (100, 0)


def test_language_decides_mlqa(lbkd: Callable[..., Any], wrote: Callable[..., Path]) -> None:
    document = json.loads(json.dumps(SQUAD2).replace("The cat", "Die cat").replace('"cat"', '"Die cat"'))
    question = document["data"][0]["paragraphs"][0]["qas"]
    question[0]["answers"][0]["answer_start"] = 0
    question.pop()
    gold, predictions = wrote("g.json", document), wrote("p.json", {"a": "cat"})
    exact = [
        lbkd("score", gold, predictions, "--metric", "mlqa", "--lang", lang, "--json").json["exact_match"]
        for lang in ("en", "de")
    ]
    assert exact == [0, 100]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["the file is empty", "download"]),
        ('{"a": ', ["not JSON", "line 1"]),
        ('{"a": NaN}', ["NaN", "not a number"]),
        (["a"], ["expected an object (question id -> a text)", "['a']"]),
        ({"a": 1}, ["'a' has 1, expected a text"]),
        ({"a": None}, ["'a' has None, expected a text"]),
        ({"a": ["x"]}, ["'a' has ['x'], expected a text"]),
    ],
)
def test_bad_predictions(
    refused: Callable[..., str], wrote: Callable[..., Path], gold: Path, content: Any, parts: list[str]
) -> None:
    predictions = wrote("p.json", content)
    for more in ([], ["--json"]):
        message = refused("score", gold, predictions, *more)
        assert all(part in message for part in [str(predictions), *parts]), message


@pytest.mark.parametrize("odds", [{"a": "1"}, {"a": True}, {"a": None}, {"a": 10**400}])
def test_bad_no_answer_scores(refused: Callable[..., str], wrote: Callable[..., Path], odds: Any) -> None:
    gold, predictions, file = wrote("g.json", SQUAD2), wrote("p.json", {"a": "cat"}), wrote("o.json", odds)
    message = refused("score", gold, predictions, "--metric", "squad-v2", "--no-answer", file)
    assert "o.json: 'a' has" in message
    assert "expected a number" in message


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--metric", "squad-v3"], ["'squad-v3'", "mlqa, squad-v1, squad-v2"]),
        (["--metric", "mlqa", "--lang", "fr"], ["'fr'", "ar, de, en, es, hi, vi, zh", "squad-v1"]),
        (["--no-answer", "odds.json"], ["squad-v2"]),
    ],
)
def test_options_that_do_not_fit(
    refused: Callable[..., str],
    wrote: Callable[..., Path],
    gold: Path,
    options: list[str],
    parts: list[str],
) -> None:
    predictions = wrote("p.json", right(gold))
    wrote("here/odds.json", {})
    message = refused("score", gold, predictions, *options)
    assert all(part in message for part in parts), message


def test_files_that_are_not_there(refused: Callable[..., str], gold: Path) -> None:
    assert "nope.json: there is no such file; check the path." in refused("score", gold, "nope.json")
    assert "nope.json" in refused("score", "nope.json", gold)


def test_unanswerable_questions_need_squad_v2(
    refused: Callable[..., str], wrote: Callable[..., Path]
) -> None:
    gold, predictions = wrote("g.json", SQUAD2), wrote("p.json", {"a": "cat", "b": ""})
    assert "'squad-v2' does not" in refused("score", gold, predictions)


def test_a_repeated_question_without_an_answer(
    refused: Callable[..., str], wrote: Callable[..., Path]
) -> None:
    """The error is all that is said, and names the question by words."""
    again = {
        "data": [
            {"paragraphs": [{"qas": [{"id": "a", "answers": [{"text": "cat"}]}, {"id": "a", "answers": []}]}]}
        ]
    }
    message = refused("score", wrote("g.json", again), wrote("p.json", {"a": "cat"}), "--metric", "mlqa")
    assert message.startswith("error: question 'a (2)': no reference answer")


def test_reads_what_the_official_scripts_read(lbkd: Callable[..., Any], wrote: Callable[..., Path]) -> None:
    """Offsets, passages and white-space answers do not matter; a repeated id counts every time."""
    qas = [
        {"id": "a", "question": "?", "answers": [{"text": "cat", "answer_start": 99}, {"text": " "}]},
        {"id": "b", "answers": [{"text": "the dog", "answer_start": -1}]},
        {"id": "a", "answers": [{"text": "cow"}]},
    ]
    gold = wrote("g.json", {"data": [{"paragraphs": [{"qas": qas}]}]})
    predictions = wrote("p.json", {"a": "cat", "b": "dog run"})
    done = lbkd("score", gold, predictions, "--json")
    # 1, 0 and 0 exact; F1 1, 2 / 3 (the article is dropped: 1 of 2 words right, 1 of 1 found) and 0
    assert (done.json["exact_match"], done.json["questions"]) == (pytest.approx(100 / 3), 3)
    assert done.json["f1"] == pytest.approx(100 * (1 + 2 / 3) / 3)
    assert done.err == f"{gold}: 1 questions have the id of an earlier one; every occurrence counts\n"
    done = lbkd("score", gold, predictions, "--json", "--metric", "squad-v2")
    assert (done.json["exact_match"], done.json["questions"]) == (0, 2)
    assert done.json["f1"] == pytest.approx(100 * (2 / 3) / 2)
    assert "the last occurrence counts" in done.err


def test_repeated_keys_are_told(lbkd: Callable[..., Any], wrote: Callable[..., Path], gold: Path) -> None:
    answers = right(gold)
    first = next(iter(answers))
    text = json.dumps(answers)
    predictions = wrote("p.json", text[:-1] + f', "{first}": "quite wrong"}}')
    done = lbkd("score", gold, predictions, "--json")
    assert done.json["exact_match"] == pytest.approx(100 * 53 / 54)
    assert done.err.startswith(f"{predictions}: an object has the key '{first}' twice, with ")
    assert done.err.endswith(" and with 'quite wrong'; the last value counts\n")
