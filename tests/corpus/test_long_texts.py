"""The cost of reading, checking, repairing and phrases is linear in the length of texts."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbkd.corpus.squad import inspect_file, read
from lbkd.corpus_translation.repair import repair
from lbkd.phrases import Phrases, mine

LONG = {
    "words": "The cat sat on it. " * 5_264,
    "one word": "a" * 50_000,
    "Han": ("猫坐在垫子上" * 3 + "。") * 5_264,
    "Devanagari": "जॉयस्टिकों की बात है। " * 4_546,
    "accents": "e\u0301" * 50_000,
}


@contextmanager
def quick(seconds: float) -> Iterator[None]:
    """Allow far more than linear cost takes (tenths of a second), and far less than quadratic (minutes)."""
    begin = time.process_time()
    yield
    assert time.process_time() - begin < seconds


def written(path: Path, passage: str, question: str, answers: list[tuple[str, int]]) -> Path:
    qas = [
        {"id": f"{n}", "question": question, "answers": [{"text": text, "answer_start": start}]}
        for n, (text, start) in enumerate(answers)
    ]
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": passage, "qas": qas}]}]}))
    return path


@pytest.mark.parametrize("name", LONG)
def test_a_long_question(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "x.json", "The cat sat.", LONG[name], [("cat", 4)])
    with quick(2):
        assert read(path, "").questions[0].text == LONG[name]


@pytest.mark.parametrize("name", LONG)
def test_a_long_passage_with_many_wrong_answers(tmp_path: Path, name: str) -> None:
    text = LONG[name]
    good = [(text[at : at + 8], at) for at in range(0, 40_000, 400)]
    absent = [(f"zq{n}{text[:6].upper()}", n) for n in range(100)]
    path = written(tmp_path / "x.json", text, "?", good + absent)
    with quick(10):
        kinds = [fault.kind for fault in inspect_file(path, "")[1]]
    assert kinds.count("misplaced answer") == 100
    with quick(10):
        assert repair([path], None)[str(path)]["reasons"]["not in the passage"]["answers"] == 100


@pytest.mark.parametrize("work", [lambda text: mine([text]), lambda text: Phrases([text[20:30]]).find(text)])
@pytest.mark.parametrize("name", LONG)
def test_phrases(name: str, work: Callable[[str], object]) -> None:
    Phrases(["x"]).find("x")  # the pattern of a word is made at the first use
    with quick(6):
        work(LONG[name])
