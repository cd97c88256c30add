import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import lbkd.inference.answerer as module
from lbkd.config import BUILTIN_CORPUS, ModelSettings
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.answers import Decoding, answers_by_question
from lbkd.evaluation.decode import Answer, Decoded
from lbkd.features.dataset import FeatureSet
from lbkd.features.windows import WindowRule, WindowSettings
from lbkd.inference import Answerer

KEYS = {"score", "start", "end", "answer"}
QUESTION = "Who built the wheel?"
PASSAGE = "  The wheel was built in 2002\nby engineers (from Scotland); ellos la construyeron.  "
LONG = " ".join(f"In {1500 + n} the engineer number {n} built wheel {n * 7}." for n in range(60))


@pytest.fixture(scope="module")
def answerer(tiny_model_folder: Path) -> Answerer:
    """A random model: it has opinions, if not knowledge."""
    return Answerer(tiny_model_folder)


def same(found: Any, expected: Any) -> bool:
    """Equal, but for the last digits of scores."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(same(f, e) for f, e in zip(found, expected, strict=True))
    return {**found, "score": 0} == {**expected, "score": 0} and found["score"] == pytest.approx(
        expected["score"], rel=1e-4
    )


def rule_seen(monkeypatch: pytest.MonkeyPatch) -> list[WindowRule]:
    """Collects the window rules that calls lead to."""
    seen: list[WindowRule] = []
    inner = Answerer._features

    def features(self: Answerer, asked: Sequence[tuple[str, str]], rule: WindowRule, *rest: Any) -> Any:
        seen.append(rule)
        return inner(self, asked, rule, *rest)

    monkeypatch.setattr(Answerer, "_features", features)
    return seen


# Shapes, as users of the former pipeline know them.


def test_one_question_one_answer(answerer: Answerer) -> None:
    found = answerer(question=QUESTION, context=PASSAGE)
    assert isinstance(found, dict)
    assert found.keys() == KEYS
    assert [type(found[key]) for key in ("score", "start", "end", "answer")] == [float, int, int, str]
    assert json.loads(json.dumps(found)) == found


def test_a_dict_is_one_question(answerer: Answerer) -> None:
    expected = answerer(question=QUESTION, context=PASSAGE)
    assert answerer({"question": QUESTION, "context": PASSAGE}) == expected
    assert answerer({"question": QUESTION, "context": PASSAGE, "id": 3}) == expected


def test_several_answers(answerer: Answerer) -> None:
    found = answerer(question=QUESTION, context=PASSAGE, top_k=4)
    assert [answer.keys() for answer in found] == [KEYS] * 4
    assert found[0] == answerer(question=QUESTION, context=PASSAGE)
    assert answerer({"question": QUESTION, "context": PASSAGE}, top_k=2) == found[:2]


def test_no_more_answers_than_there_are(answerer: Answerer) -> None:
    found = answerer(question="Who?", context="Ann.", top_k=1000)
    assert sorted({a["answer"] for a in found}) == sorted(a["answer"] for a in found)
    assert "Ann." in [a["answer"] for a in found]


@pytest.mark.parametrize("top_k", [1, 3])
def test_several_questions(answerer: Answerer, top_k: int) -> None:
    questions = [QUESTION, "When?", "¿Quién?"]
    found = answerer(question=questions, context=[PASSAGE, LONG, PASSAGE], top_k=top_k)
    alone = [
        answerer(question=q, context=c, top_k=top_k)
        for q, c in zip(questions, (PASSAGE, LONG, PASSAGE), strict=True)
    ]
    assert same(found, alone)
    entries = [
        {"question": q, "context": c} for q, c in zip(questions, (PASSAGE, LONG, PASSAGE), strict=True)
    ]
    assert answerer(entries, top_k=top_k) == found
    assert answerer(iter(entries), top_k=top_k) == found  # type: ignore[arg-type]


def test_one_passage_for_several_questions(answerer: Answerer) -> None:
    found = answerer(question=[QUESTION, "When?"], context=PASSAGE)
    assert same(found, answerer(question=[QUESTION, "When?"], context=[PASSAGE, PASSAGE]))


def test_lists_give_lists(answerer: Answerer) -> None:
    expected = [answerer(question=QUESTION, context=PASSAGE)]
    assert answerer(question=[QUESTION], context=[PASSAGE]) == expected
    assert answerer(question=[QUESTION], context=PASSAGE) == expected
    assert answerer([{"question": QUESTION, "context": PASSAGE}]) == expected
    assert answerer([]) == answerer(question=[], context=[]) == answerer(question=[], context=PASSAGE) == []


def test_the_same_question_twice(answerer: Answerer) -> None:
    first, second = answerer(question=[QUESTION, QUESTION], context=PASSAGE, top_k=2)
    assert first == second


# Answers.


@pytest.mark.parametrize(
    "passage",
    [
        PASSAGE,
        LONG,
        "x",
        " \t a ",
        "naïve — “quoted” 😀 end",
        "谁写的？艾达写的。",
        "لمن كتبها؟ آدا",
        "a\u200b b\ufeff c\r\n\r\nd",
    ],
)
def test_answers_are_slices_best_first(answerer: Answerer, passage: str) -> None:
    found = answerer(question=QUESTION, context=passage, top_k=7)
    for answer in found:
        assert passage[answer["start"] : answer["end"]] == answer["answer"] == answer["answer"].strip()
        assert 0 <= answer["score"] <= 1
    scores = [answer["score"] for answer in found]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= 1 + 1e-5
    assert len({(a["start"], a["end"]) for a in found}) == len(found)


def test_scores_of_all_spans_add_up_to_one(answerer: Answerer) -> None:
    found = answerer(question="Who?", context="Ann and Bob", top_k=100)
    assert sum(answer["score"] for answer in found) == pytest.approx(1, abs=1e-4)


def test_a_passage_that_the_tokenizer_does_not_see(answerer: Answerer) -> None:
    passage = "\u200b\u200d"
    assert answerer(question=QUESTION, context=passage) == {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    for top_k in (1, 2):
        found = answerer(question=QUESTION, context=passage, handle_impossible_answer=True, top_k=top_k)
        nothing = {"score": 1.0, "start": 0, "end": 0, "answer": ""}
        assert found == (nothing if top_k == 1 else [nothing])


def test_no_answer_is_one_of_the_possibilities(answerer: Answerer) -> None:
    options = {"question": "Who?", "context": "Ann and Bob", "top_k": 100}
    without, found = answerer(**options), answerer(**options, handle_impossible_answer=True)
    [nothing] = [a for a in found if a["answer"] == ""]
    assert (nothing["start"], nothing["end"]) == (0, 0)
    assert sum(answer["score"] for answer in found) == pytest.approx(1, abs=1e-4)
    scores = [answer["score"] for answer in found]
    assert scores == sorted(scores, reverse=True)
    rest = [a for a in found if a["answer"]]
    assert [a["answer"] for a in rest] == [a["answer"] for a in without]
    for answer, before in zip(rest, without, strict=True):  # the others make room, in proportion
        assert answer["score"] == pytest.approx(before["score"] * (1 - nothing["score"]), rel=1e-3)


@pytest.mark.parametrize(
    ("no_answer", "score", "expected"),
    [
        (-5.0, 0.5, 0.0033690),  # 0.5 exp(-5)
        (0.0, 0.25, 0.25),
        (1000.0, 1e-300, 1.0),
        (1000.0, 0.0, 1.0),
        (float("inf"), 0.0, 1.0),
    ],
)
def test_probability_of_no_answer(no_answer: float, score: float, expected: float) -> None:
    decoded = Decoded([Answer("a", 0, 1, score)], no_answer)
    found = module._shaped(decoded, 2, True)
    assert next(a for a in found if not a["answer"])["score"] == pytest.approx(expected, abs=1e-6)


def test_answers_that_differ_in_white_space_alone_are_one() -> None:
    decoded = Decoded([Answer("b", 2, 3, 0.5), Answer("b", 2, 3, 0.3), Answer("a", 0, 1, 0.1)], -1.0)
    assert [a["score"] for a in module._shaped(decoded, 3, False)] == [0.5, 0.1]


# Windows.


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
    spans = answerer.tokenizer.backend_tokenizer.encode(PASSAGE, add_special_tokens=False).offsets
    lengths = [sum(a["start"] <= begin < a["end"] for begin, _ in spans) for a in found]
    assert max(lengths) == min(most, len(spans))


def test_answers_as_the_evaluation_does(answerer: Answerer, tmp_path: Path) -> None:
    language = "es"
    path = BUILTIN_CORPUS / f"test.{language}.json"
    corpus = ParallelCorpus.read({language: path}, language, limit=6)
    features = FeatureSet.build(corpus, answerer.tokenizer, "hash", tmp_path, WindowSettings(80, 24, 20))
    pair = (language, language)
    decoding = Decoding(max_answer_tokens=12, batch_tokens=1000, n_best=3)
    expected = dict(answers_by_question(answerer.model, features, pair, decoding))
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


# Bad input.


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
        ({}, {}, "the question is None"),
        ({"question": "a", "passage": "b"}, {}, "the passage is None"),
        ({"question": "a", "context": "b"}, {"question": "a"}, "either"),
    ],
)
def test_bad_calls(answerer: Answerer, inputs: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        answerer(inputs, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k = 0"),
        ({"max_answer_len": 0}, "max_answer_len = 0"),
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


# Models.


def run_folder(model: Path, folder: Path, **settings: Any) -> Path:
    """A run of lbkd with this model."""
    shutil.copytree(model, folder / "model")
    about = {"settings": {"model": {**ModelSettings().model_dump(mode="json"), **settings}}}
    (folder / "run.json").write_text(json.dumps(about))
    return folder


def test_a_run_is_read_as_it_was_trained(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answerer: Answerer
) -> None:
    run = Answerer(
        run_folder(tiny_model_folder, tmp_path, max_length=96, max_question_tokens=16, window_step=30)
    )
    seen = rule_seen(monkeypatch)
    found = run(question=QUESTION, context=LONG)
    assert (seen[0].max_length, seen[0].max_question_tokens, seen[0].step) == (96, 16, 30)
    alike = answerer(question=QUESTION, context=LONG, max_seq_len=96, max_question_len=16, doc_stride=47)
    assert seen[1] == seen[0]
    assert same(found, alike)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"settings": 3}', '{"settings": {"model": {"a": 1}}}']
)
def test_damaged_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match="run.json: not written by this version of lbkd, or damaged"):
        Answerer(tmp_path)


def test_a_model_with_few_positions(tiny_model_folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertForQuestionAnswering

    folder = tmp_path / "short"
    shutil.copytree(tiny_model_folder, folder)
    config = BertConfig.from_pretrained(folder, max_position_embeddings=128)
    with torch.random.fork_rng():
        BertForQuestionAnswering(config).save_pretrained(folder)
    answerer = Answerer(folder)
    assert answerer(question=QUESTION, context=LONG)["answer"]
    with pytest.raises(ConfigError, match="at most 128 tokens"):
        answerer(question=QUESTION, context=LONG, max_seq_len=129)


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model"):
        Answerer(tmp_path / "nowhere")


# Models that must be told the languages.


@pytest.fixture(scope="module")
def told(tiny_xlm_folder: Path) -> Answerer:
    """A random XLM."""
    return Answerer(tiny_xlm_folder)


def test_the_languages_decide(told: Answerer) -> None:
    """Of the passage, and of the question, which is the same unless it is told."""
    asked = {"question": [QUESTION, "¿Quién?"], "context": PASSAGE, "top_k": 5}
    both = told(**asked, lang="es")
    assert both == told(**asked, lang="es", question_lang="es")
    assert [len(answers) for answers in both] == [5, 5]
    for answers in both:
        assert all(a["answer"] == PASSAGE[a["start"] : a["end"]] for a in answers)
    others = [told(**asked, lang="es", question_lang="en"), told(**asked, lang="en", question_lang="es")]
    scores = {tuple(a["score"] for answers in found for a in answers) for found in (both, *others)}
    assert len(scores) == 3
    assert same(
        told(question="¿Quién?", context=PASSAGE, top_k=5, lang="es", question_lang="en"), others[0][1]
    )


def test_languages_that_are_not_told(told: Answerer) -> None:
    for languages in ({}, {"question_lang": "es"}):
        with pytest.raises(ConfigError, match=r"must be told .*--lang .* Choices: ar, de, en, es, hi, vi\."):
            told(question=QUESTION, context=PASSAGE, **languages)
    for languages in ({"lang": "fr"}, {"lang": "en", "question_lang": "fr"}):
        with pytest.raises(ConfigError, match="'fr': the model does not know it; choices: ar, de, en"):
            told(question=QUESTION, context=PASSAGE, **languages)


def test_a_tokenizer_that_must_be_told_though_the_model_need_not(
    tiny_xlm_folder: Path, tmp_path: Path
) -> None:
    """As of xlm-mlm-100-1280: Moses splits each language by rules of its own."""
    folder = shutil.copytree(tiny_xlm_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | {"use_lang_emb": False}
    (folder / "config.json").write_text(json.dumps(config))
    plain = Answerer(folder)
    with pytest.raises(ConfigError, match=r"must be told .* Choices: ar, de, en, es, hi, vi\."):
        plain(question=QUESTION, context=PASSAGE)
    assert plain.template.languages is None
    asked = {"question": QUESTION, "top_k": 3}
    assert plain(context="cats", lang="de", **asked) == plain(context="cats", lang="en", **asked)
    quoted = 'Er sagt "Ja", l\'eau.'
    assert plain(context=quoted, lang="de", **asked) != plain(context=quoted, lang="en", **asked)


def test_languages_that_nobody_asked_for(answerer: Answerer) -> None:
    for languages in ({"lang": "en"}, {"question_lang": "en"}):
        with pytest.raises(
            ConfigError, match=r"'en'.*: this model takes no languages; leave both out \(--lang"
        ):
            answerer(question=QUESTION, context=PASSAGE, **languages)
