"""Corpora by hand, for a tokenizer of single letters."""

from pathlib import Path
from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Answer, Dataset, Question
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings

if TYPE_CHECKING:
    pass

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def dataset(language: str, passages: list[str], *questions: tuple[str, str, int, str | None]) -> Dataset:
    """Questions are (id, text, passage, answer)."""
    return Dataset(
        Path(language),
        language,
        tuple(passages),
        (0,) * len(passages),
        ("",),
        tuple(
            Question(id, text, row, () if answer is None else (Answer(answer, passages[row].index(answer)),))
            for id, text, row, answer in questions
        ),
    )


def build(
    corpus: ParallelCorpus,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    max_length: int,
    max_question_tokens: int,
    step: int,
) -> FeatureSet:
    return FeatureSet.build(
        corpus,
        tokenizer,
        tokenizer_hash(tokenizer),
        folder,
        WindowSettings(max_length, max_question_tokens, step),
    )
