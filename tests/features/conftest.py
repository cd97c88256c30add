from typing import TYPE_CHECKING

import pytest
from transformers import BertTokenizer, PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus

if TYPE_CHECKING:
    pass
from letters import LETTERS, SPECIAL, dataset


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """BERT's over single letters: a word is a token, and a is 5, b is 6, and so on."""
    vocabulary = {piece: n for n, piece in enumerate([*SPECIAL, *LETTERS])}
    return BertTokenizer(vocab=vocabulary)


@pytest.fixture
def corpus() -> ParallelCorpus:
    """Columns q1, q2, q3; es lacks q2, en lacks q3."""
    return ParallelCorpus(
        {
            "en": dataset(
                "en",
                ["a b c d e f g h i j", "k l"],
                ("q1", "x y", 0, "d e"),
                ("q2", "z", 1, "l"),
            ),
            "es": dataset(
                "es",
                ["a b c d e f g"],
                ("q3", "x", 0, None),
                ("q1", "x y z x y z", 0, "g"),
            ),
            "de": dataset(
                "de",
                ["k", "b c d"],
                ("q3", "x x", 0, None),
                ("q2", "z z", 0, "k"),
                ("q1", "x y", 1, "b c"),
            ),
        },
        "en",
        ("q1", "q2", "q3"),
    )
