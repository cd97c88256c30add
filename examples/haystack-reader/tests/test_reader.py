from pathlib import Path
from typing import Any

import pytest

haystack = pytest.importorskip("haystack", reason="needs the package haystack-ai, version 3")

from haystack import Document, Pipeline  # noqa: E402
from haystack.components.retrievers import InMemoryBM25Retriever  # noqa: E402
from haystack.document_stores.in_memory import InMemoryDocumentStore  # noqa: E402
from lbkd_haystack import LbkdReader  # noqa: E402

from lbkd import Answerer  # noqa: E402

TEXTS = ["Ann built the wheel in Glasgow in 2002.", "The cat sat on the mat.", "The wheel is red."]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model: it has opinions, if not knowledge."""
    import torch
    from transformers import BertConfig, BertForQuestionAnswering, BertTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = [*letters, *(f"##{letter}" for letter in letters), ".", "?", "the", "wheel"]
    tokenizer = BertTokenizer(
        vocab={word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    )
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    folder = tmp_path_factory.mktemp("model")
    BertForQuestionAnswering(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def documents() -> list[Document]:
    return [*(Document(content=text) for text in TEXTS), Document(content=None), Document(content=" ")]


def test_answers_are_the_answerers(model: Path) -> None:
    answers = LbkdReader(str(model), no_answer=False, answers_per_document=1).run("Who?", documents())[
        "answers"
    ]
    best = Answerer(model)([{"question": "Who?", "context": text} for text in TEXTS])
    assert [a.score for a in answers] == pytest.approx(
        sorted((b["score"] for b in best), reverse=True), rel=1e-4
    )
    for answer in answers:
        place = answer.document_offset
        assert answer.data == answer.document.content[place.start : place.end]
        assert answer.query == "Who?"


def test_answers_do_not_overlap(model: Path) -> None:
    answers = LbkdReader(str(model), no_answer=False).run("Who?", documents()[:1])["answers"]
    places = sorted((a.document_offset.start, a.document_offset.end) for a in answers)
    assert len(places) > 1
    assert all(end <= start for (_, end), (start, _) in zip(places, places[1:], strict=False))


def test_no_answer_and_threshold(model: Path) -> None:
    reader = LbkdReader(str(model), top_k=2)
    answers = reader.run("Who?", documents())["answers"]
    assert len(answers) == 3
    [nothing] = [answer for answer in answers if answer.data is None]
    product = 1.0
    for answer in answers:
        product *= 1 if answer is nothing else 1 - answer.score
    assert nothing.score == pytest.approx(product)
    least = answers[1].score
    assert reader.run("Who?", documents(), score_threshold=least)["answers"] == answers[:2]
    assert len(reader.run("Who?", documents(), top_k=1, no_answer=False)["answers"]) == 1
    assert reader.run("Who?", [])["answers"][0].score == 1


def test_in_a_pipeline_that_was_written_and_read(model: Path) -> None:
    store = InMemoryDocumentStore()
    store.write_documents([Document(content=text) for text in TEXTS])
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(document_store=store, top_k=2))
    pipeline.add_component("reader", LbkdReader(str(model), top_k=3, options={"max_answer_len": 2}))
    pipeline.connect("retriever.documents", "reader.documents")

    def ask(one: Any) -> Any:
        query = {"query": "Who built the wheel?"}
        return one.run({"retriever": query, "reader": query})["reader"]["answers"]

    answers = ask(pipeline)
    assert answers
    assert {answer.document.content for answer in answers if answer.document} <= {TEXTS[0], TEXTS[2]}
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["lbkd_haystack"])
    assert again.get_component("reader").options == {"max_answer_len": 2}
    assert [answer.data for answer in ask(again)] == [answer.data for answer in answers]
