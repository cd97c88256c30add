"""What transformers' former question-answering pipeline found, with a model that knows a few answers."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from asking import ACCUSED, FOUNDED, LIBRARIES, LONG, QUESTION, UNANSWERED, is_answer

from lbkd.inference import Answerer


@pytest.fixture(scope="module")
def taught(taught_folder: Path) -> Answerer:
    return Answerer(taught_folder)


@pytest.mark.parametrize("known", [FOUNDED, ACCUSED, LIBRARIES])
@pytest.mark.parametrize("options", [{}, {"align_to_words": True}, {"handle_impossible_answer": True}])
def test_the_answer_and_its_place(taught: Answerer, known: tuple[str, str, str], options: Any) -> None:
    question, context, answer = known
    found = taught({"question": question, "context": context, "id": 1}, **options)
    begin = context.index(answer)
    place = {"start": begin, "end": begin + len(answer), "answer": answer}
    assert {**found, "score": 0} == {"score": 0, **place}
    assert 0.5 < found["score"] <= 1


def test_a_stream_of_the_same_question(taught_folder: Path) -> None:
    question, context, answer = FOUNDED
    found = Answerer(taught_folder, batch_size=16)(
        {"question": question, "context": context} for _ in range(10)
    )
    assert [one["answer"] for one in found] == [answer] * 10


def test_a_long_passage_without_the_answer(taught_folder: Path) -> None:
    question, context, _ = UNANSWERED
    doubtful = Answerer(taught_folder, handle_impossible_answer=True, max_seq_len=512)
    found = doubtful(question=question, context=context)
    assert {**found, "score": 0} == {"score": 0, "start": 0, "end": 0, "answer": ""}
    assert 0.5 < found["score"] <= 1
    assert doubtful(question=question, context=context, handle_impossible_answer=False)["answer"]
    assert [one["answer"] for one in doubtful(question, context, top_k=3)].count("") == 1


def test_logits_of_a_million(taught_folder: Path) -> None:
    import torch

    loud = Answerer(taught_folder)
    with torch.no_grad():
        for parameter in loud.loaded.reader.model.qa_outputs.parameters():
            parameter.mul_(1e6)
    question, context, answer = FOUNDED
    found = loud(question, context)
    assert (found["answer"], found["score"]) == (answer, pytest.approx(1))
    assert all(0 <= one["score"] <= 1 for one in loud(question, context, top_k=9))


def test_words_cover_the_answers_that_they_stand_for(answerer: Answerer) -> None:
    """All spans: the score of a span of words is the sum of its spans' scores."""
    context = "Unbelievable wheelwrights (re)built 19 wheels."
    words = [(0, 12), (13, 25), (26, 27), (27, 29), (29, 30), (30, 35), (36, 38), (39, 45), (45, 46)]
    pieces = answerer(question=QUESTION, context=context, top_k=2000)
    found = answerer(question=QUESTION, context=context, top_k=2000, align_to_words=True)
    assert len(found) == len(words) * (len(words) + 1) / 2 < len(pieces)
    expected = dict.fromkeys([(one["start"], one["end"]) for one in found], 0.0)
    for piece in pieces:
        start = next(first for first, last in words if first <= piece["start"] < last)
        end = next(last for first, last in words if first < piece["end"] <= last)
        expected[start, end] += piece["score"]
    for one in found:
        assert is_answer(one)
        assert one["answer"] == context[one["start"] : one["end"]]
        assert one["score"] == pytest.approx(expected[one["start"], one["end"]], rel=1e-4)
    assert sum(one["score"] for one in found) == pytest.approx(1, abs=1e-4)


def test_words_of_long_passages(answerer: Answerer) -> None:
    found = answerer(question=QUESTION, context=LONG, top_k=20, align_to_words=True)
    assert len({(one["start"], one["end"]) for one in found}) == 20
    for one in found:
        around = LONG[max(0, one["start"] - 1) : one["end"] + 1]
        assert not around[:2].isalnum() or one["start"] == 0
        assert not around[-2:].isalnum()


def test_words_of_a_slow_tokenizer_end_at_white_space(tiny_xlm_folder: Path) -> None:
    told = Answerer(tiny_xlm_folder, lang="en", align_to_words=True)
    found = told(question=QUESTION, context="  Unbelievable   (re)built wheels. ", top_k=50)
    words = ["Unbelievable", "(re)built", "wheels."]
    assert {one["answer"] for one in found} == {
        *words,
        "Unbelievable   (re)built",
        "(re)built wheels.",
        "Unbelievable   (re)built wheels.",
    }


def test_a_script_without_words(tiny_model_folder: Path, tmp_path: Path) -> None:
    """To a tokenizer that splits nothing beforehand, the whole passage is one word."""
    from tokenizers import Tokenizer, models, processors
    from transformers import PreTrainedTokenizerFast

    context = "全学年にわたって小学校の国語の教科書に挿し絵が用いられている"
    letters = [(letter, -1.0) for letter in sorted(set(context))]
    special = ["<pad>", "<unk>", "<s>", "</s>"]
    plain = Tokenizer(models.Unigram([*((word, 0.0) for word in special), *letters], unk_id=1))
    plain.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    PreTrainedTokenizerFast(tokenizer_object=plain, **names).save_pretrained(folder)
    japanese = Answerer(folder, max_answer_len=3)
    assert len(japanese("国語", context)["answer"]) <= 3
    assert japanese("国語", context, align_to_words=False) == japanese("国語", context)
    aligned = japanese("国語", context, align_to_words=True)
    assert (aligned["answer"], aligned["start"], aligned["end"]) == (context, 0, len(context))
