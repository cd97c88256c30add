"""Answers over HTTP are the answerer's, however they are asked for and whoever asks at the same time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asking_servers import ASKED, Gated, Served, serving, wait_for

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import squad
from lbkd.inference import Answerer
from lbkd.inference.options import Options
from lbkd.serving.bodies import Asked

OPTIONS = [
    {},
    {"top_k": 3},
    {"top_k": 5, "max_answer_len": 2},
    {"handle_impossible_answer": True, "top_k": 2},
    {"align_to_words": True},
    {"max_seq_len": 32, "max_question_len": 8, "doc_stride": 4, "batch_size": 2},
    {"doc_stride": None},
]


def same(found: Any, expected: Any) -> bool:
    """Equal, but for the last digits of scores."""
    if isinstance(found, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return {**found, "score": 0} == {**expected, "score": 0} and found["score"] == pytest.approx(
        expected["score"], rel=1e-4
    )


def listed(answers: Any) -> list[Any]:
    return answers if isinstance(answers, list) else [answers]


@pytest.mark.parametrize("options", OPTIONS)
def test_one_question(served: Served, answerer: Answerer, options: dict[str, Any]) -> None:
    reply = served.ask(ASKED | options)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert same(reply.json["answers"], [listed(answerer(ASKED, **options))])


def test_many_questions(served: Served, answerer: Answerer) -> None:
    questions, passage = ["Who?", "कौन?", "من؟"], ASKED["context"]
    expected = [[one] for one in answerer(question=questions, context=passage)]
    assert same(served.ask({"question": questions, "context": passage}).json["answers"], expected)
    assert same(served.ask({"question": questions, "context": [passage] * 3}).json["answers"], expected)
    assert served.ask({"question": [], "context": passage}).json == {"answers": []}


def test_every_option_of_the_answerer_is_there() -> None:
    assert set(Asked.model_fields) == {*Options.model_fields, "question", "context"}


def test_offsets_count_characters(served: Served) -> None:
    [[answer]] = served.ask(ASKED).json["answers"]
    assert answer["answer"] == ASKED["context"][answer["start"] : answer["end"]]


def test_what_arrives_together_is_one_batch(answerer: Answerer) -> None:
    data = squad.read(BUILTIN_CORPUS / "test.en.json", "en")
    asked = [(q.text, data.passages[q.passage]) for q in data.questions[:24]]
    options = [{}, {"top_k": 2}]
    gated = Gated(answerer)
    with serving(gated) as server, ThreadPoolExecutor(25) as clients:
        first = clients.submit(server.ask, ASKED)
        wait_for(lambda: gated.batches)
        bodies = [
            {"question": question, "context": passage[:600], **options[n % 2]}
            for n, (question, passage) in enumerate(asked)
        ]
        replies = [clients.submit(server.ask, body) for body in bodies]
        wait_for(lambda: server.number("lbkd_waiting_questions") == len(bodies))
        gated.gate.set()
        assert first.result().status == 200
        for body, reply in zip(bodies, replies, strict=True):
            one = answerer(**{k: v for k, v in body.items()})
            assert same(reply.result().json["answers"], [listed(one)])
        assert gated.batches == [1, 12, 12]
        assert server.number("lbkd_batch_questions_count") == 3
        assert server.number("lbkd_questions_total") == 25


def test_a_fault_in_a_batch_is_its_own_requests(answerer: Answerer) -> None:
    class Picky(Gated):
        def __call__(self, entries: Any, **options: Any) -> list[Any]:
            found = super().__call__(entries, **options)
            if any("poison" in entry["question"] for entry in entries):
                raise KeyError(entries[0]["context"])
            return found

    gated = Picky(answerer)
    with serving(gated) as server, ThreadPoolExecutor(3) as clients:
        replies = [clients.submit(server.ask, ASKED)]
        wait_for(lambda: gated.batches)
        replies += [clients.submit(server.ask, ASKED | {"question": q}) for q in ("poison", "Who?")]
        wait_for(lambda: server.number("lbkd_waiting_questions") == 2)
        gated.gate.set()
        assert [reply.result().status for reply in replies] == [200, 500, 200]
        assert gated.batches == [1, 2, 1, 1]
        wait_for(lambda: len(server.notes) > 3)
        told = "\n".join(server.notes)
        assert "KeyError" in told
        assert "The cat" not in told


def test_memory_that_runs_out_is_told(answerer: Answerer) -> None:
    class Short(Gated):
        def __call__(self, entries: Any, **options: Any) -> list[Any]:
            raise MemoryError

    with serving(Short(answerer)) as server:
        reply = server.ask(ASKED)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert "memory ran out" in reply.error
