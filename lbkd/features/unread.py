"""What an encoder does not read of a corpus, or reads as something else, without an error."""

import unicodedata
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SAMPLE = 20
"""Passages of a language that are read twice, for letter case and accents."""
_LACK = 0.01
"""Share of unknown tokens from which on a language is named."""


def unread(features: FeatureSet, tokenizer: "PreTrainedTokenizerBase", longest_answer: int) -> Iterator[str]:
    """Yield a sentence, with the languages, for each thing that is lost of the texts.

    Told are questions that are cut, answers too long to be found, tokens that the vocabulary lacks, and
    letter case and accents that the tokenizer drops.

    Args:
        features: windows of the texts.
        tokenizer: the encoder's.
        longest_answer: tokens of the longest answer that is looked for.
    """
    most, unknown = features.rule.max_question_tokens, tokenizer.unk_token_id

    def questions_cut(language: str) -> str:
        count = (features.questions[language].lengths > most).sum()
        return f" {count}" if count else ""

    def answers_too_long(language: str) -> str:
        count = (features.answer_lengths(language) > longest_answer).sum()
        return f" {count}" if count else ""

    def unknown_tokens(language: str) -> str:
        share = (features.passages[language].ids == unknown).mean()
        return f" {share:.0%}" if share >= _LACK else ""

    def unchanged_by(change: Callable[[str], str]) -> Callable[[str], str]:
        def alike(language: str) -> str:
            texts = features.corpus.datasets[language].passages[:_SAMPLE]
            others = [change(text) for text in texts]
            ids = [tokenize(each, tokenizer, language).ids.tolist() for each in (texts, others)]
            return " " if list(texts) != others and ids[0] == ids[1] else ""

        return alike

    for what, found in {
        f"questions of over {most} tokens are cut (model.max_question_tokens)": questions_cut,
        f"answers of over {longest_answer} tokens are not found (evaluation.max_answer_tokens)": (
            answers_too_long
        ),
        "the encoder's vocabulary lacks some of the passages' tokens": unknown_tokens,
        "the encoder reads upper case as lower case": unchanged_by(str.lower),
        "the encoder reads no accents": unchanged_by(_without_accents),
    }.items():
        named = [f"{language}{told}".strip() for language in features.languages if (told := found(language))]
        if named:
            yield f"{what}: {', '.join(named)}"


def _without_accents(text: str) -> str:
    """A text whose Latin, Greek and Cyrillic letters have lost their accents."""
    pairs = ((unicodedata.normalize("NFD", letter)[0], letter) for letter in text)
    return "".join(base if base.lower() != base.upper() else letter for base, letter in pairs)
