"""What is lost of texts is told, by language."""

from pathlib import Path
from typing import TYPE_CHECKING

from letters import build, dataset

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.features.unread import unread

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def told(
    corpus: ParallelCorpus, tokenizer: "PreTrainedTokenizerFast", folder: Path, answer: int
) -> list[str]:
    features = build(corpus, tokenizer, folder, max_length=32, max_question_tokens=4, step=10)
    return list(unread(features, tokenizer, answer))


def test_all_that_is_lost_is_told(wordpiece_tokenizer: "PreTrainedTokenizerFast", tmp_path: Path) -> None:
    """The tokenizer drops case and accents, and knows no Thai."""
    texts = {
        "en": dataset("en", ["the old bridge"], ("a", "who and when and where", 0, "the old bridge")),
        "es": dataset("es", ["La música"], ("a", "who", 0, "La")),
        "th": dataset("th", ["สะพานเก่า ข้าม"], ("a", "who", 0, "ข้าม")),
    }
    corpus = ParallelCorpus(texts, "en", ("a",))
    assert told(corpus, wordpiece_tokenizer, tmp_path, 2) == [
        "questions of over 4 tokens are cut (model.max_question_tokens): en 1",
        "answers of over 2 tokens are not found (evaluation.max_answer_tokens): en 1",
        "the encoder's vocabulary lacks some of the passages' tokens: th 100%",
        "the encoder reads upper case as lower case: es",
        "the encoder reads no accents: es",
    ]


def test_nothing_is_told_of_what_is_read(e5_tokenizer: "PreTrainedTokenizerFast", tmp_path: Path) -> None:
    texts = {"es": dataset("es", ["La música, 한국"], ("a", "who", 0, "La"))}
    assert told(ParallelCorpus(texts, "es", ("a",)), e5_tokenizer, tmp_path, 30) == []
