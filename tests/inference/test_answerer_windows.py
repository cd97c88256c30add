from pathlib import Path
from typing import Any

import pytest
from asking import LONG, PASSAGE, QUESTION, rule_seen

import lbkd.inference.answerer as module
from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.answers import Decoding, answers_by_question
from lbkd.features.dataset import FeatureSet
from lbkd.features.windows import WindowSettings
from lbkd.inference import Answerer


def test_long_passages(answerer: Answerer) -> None:
    end = answerer(question=QUESTION, context=LONG, top_k=200)
    assert max(answer["end"] for answer in end) > len(LONG) * 0.6  # far beyond the first window
    whole = answerer(question=QUESTION, context=LONG, max_seq_len=512, doc_stride=400, top_k=3)
    assert all(LONG[a["start"] : a["end"]] == a["answer"] for a in whole)


def test_windows_follow_the_options(answerer: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = rule_seen(monkeypatch)
    answerer(question=QUESTION, context=LONG)
    answerer(question=QUESTION, context=LONG, max_seq_len=128, doc_stride=32)
    answerer(question=QUESTION, context=LONG, max_seq_len=64, max_question_len=8)
    assert [(rule.max_length, rule.max_question_tokens, rule.step) for rule in seen] == [
        (384, 64, 128),
        (128, 64, 128 - 64 - 3 - 32),  # BERT's three special tokens
        (64, 8, 128),
    ]


def test_neighbouring_windows_share_doc_stride_tokens_at_least(
    answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    inner = module.answer

    def answer(model: Any, features: Any, ids: Any, decoding: Decoding) -> Any:
        seen.append(features.windows(ids))
        return inner(model, features, ids, decoding)

    monkeypatch.setattr(module, "answer", answer)
    counts = []
    for doc_stride in (0, 16, 40):
        answerer(question=QUESTION, context=LONG, max_seq_len=128, doc_stride=doc_stride)
        windows = seen[-1]
        assert min(windows.stop[:-1] - windows.start[1:]) >= doc_stride
        counts.append(len(windows.start))
    assert counts == sorted(set(counts))


def test_options_change_the_answer(answerer: Answerer) -> None:
    usual = answerer(question=QUESTION, context=LONG)["score"]
    assert answerer(question=QUESTION, context=LONG, max_seq_len=100)["score"] != usual
    assert answerer(question=QUESTION, context=LONG, doc_stride=10)["score"] != usual
    assert answerer(question=QUESTION, context=LONG, max_question_len=1)["score"] != usual


@pytest.mark.parametrize("most", [1, 2, 5, 10**9])
def test_longest_answer(answerer: Answerer, most: int) -> None:
    found = answerer(question=QUESTION, context=PASSAGE, top_k=500, max_answer_len=most)
    spans = answerer.loaded.texts.tokenizer.backend_tokenizer.encode(
        PASSAGE, add_special_tokens=False
    ).offsets
    lengths = [sum(a["start"] <= begin < a["end"] for begin, _ in spans) for a in found]
    assert max(lengths) == min(most, len(spans))


def test_answers_as_the_evaluation_does(answerer: Answerer, tmp_path: Path) -> None:
    language = "es"
    path = BUILTIN_CORPUS / f"test.{language}.json"
    corpus = ParallelCorpus.read({language: path}, language, limit=6)
    features = FeatureSet.build(
        corpus, answerer.loaded.texts.tokenizer, "hash", tmp_path, WindowSettings(80, 24, 20)
    )
    pair = (language, language)
    decoding = Decoding(max_answer_tokens=12, batch_tokens=1000, n_best=3)
    expected = dict(answers_by_question(answerer.loaded.reader, features, pair, decoding))
    data = corpus.datasets[language]
    assert expected.keys() == {question.id for question in data.questions}
    for question in data.questions:
        found = answerer(
            question=question.text,
            context=data.passages[question.passage],
            top_k=3,
            max_answer_len=12,
            max_seq_len=80,
            max_question_len=24,
            doc_stride=80 - 24 - 3 - 20,
        )
        decoded = expected[question.id].answers
        assert [(a["answer"], a["start"], a["end"]) for a in found] == [a[:3] for a in decoded]
        assert [a["score"] for a in found] == pytest.approx([a.probability for a in decoded], rel=1e-4)


@pytest.mark.parametrize("bad", [None, "", " \n", 3, b"x", 1.5, True, [], {}])
def test_bad_texts(answerer: Answerer, bad: Any) -> None:
    for question, context, what in ((bad, PASSAGE, "question"), (QUESTION, bad, "passage")):
        with pytest.raises(
            DataError, match=rf"question 1: the {what} is .*expected a text that is not empty"
        ):
            answerer([{"question": "a", "context": "b"}, {"question": question, "context": context}])


@pytest.mark.parametrize("what", ["question", "passage"])
def test_half_a_surrogate_pair(answerer: Answerer, what: str) -> None:
    texts = {"question": "ab\ud800"} if what == "question" else {"context": "ab\udfff"}
    with pytest.raises(DataError, match=f"question 0: the {what} has half a surrogate pair.*character 2"):
        answerer(**{"question": QUESTION, "context": PASSAGE, **texts})


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (None, {}, "the question is None"),
        (None, {"question": "a"}, "the passage is None"),
        (None, {"context": "a"}, "the question is None"),
        (None, {"question": ["a", "b"], "context": ["c"]}, "2 questions but 1 contexts"),
        (None, {"question": "a", "context": ["b", "c"]}, "1 questions but 2 contexts"),
        (None, {"question": 3, "context": "a"}, "the question is 3"),
        (None, {"question": "a", "context": 3}, "the passage is 3"),
        ("text", {}, "'text': expected {'question'"),
        (["text"], {}, "'text': expected {'question'"),
        ([("a", "b")], {}, "expected {'question'"),
        (3, {}, "3: expected {'question'"),
        ({}, {}, "the key 'question' is missing in {}"),
        ({"question": "a", "passage": "b"}, {}, "the key 'context' is missing in {'passage': 'b'"),
        ({"question": "a", "context": "b"}, {"question": "a"}, "given twice"),
    ],
)
def test_bad_calls(answerer: Answerer, inputs: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        answerer(*[] if inputs is None else [inputs], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k = '0': Input should be greater than 0"),
        ({"max_answer_len": 0}, "max_answer_len = '0': Input should be greater than 0"),
        ({"max_seq_len": 513}, "max_seq_len = 513: this model reads at most 512"),
        ({"max_seq_len": 67}, "max_seq_len = 67 and max_question_len = 64 leave no room"),
        ({"max_seq_len": 0}, "max_seq_len = 0"),
        ({"max_question_len": 0}, "max_question_len = 0"),
        ({"max_question_len": 381}, "max_question_len = 381"),
        ({"doc_stride": -1}, "doc_stride = -1: must be from 0 to 316"),
        ({"doc_stride": 317}, "doc_stride = 317: must be from 0 to 316"),
        ({"max_seq_len": 80, "doc_stride": 13}, "doc_stride = 13: must be from 0 to 12"),
    ],
)
def test_numbers_that_do_not_fit(answerer: Answerer, options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        answerer(question=QUESTION, context=PASSAGE, **options)


def test_numbers_that_just_fit(answerer: Answerer) -> None:
    for options in (
        {"max_seq_len": 68},
        {"max_seq_len": 512},
        {"doc_stride": 316},
        {"max_question_len": 380},
    ):
        assert answerer(question=QUESTION, context=LONG[:600], **options)["answer"]
