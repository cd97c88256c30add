from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset
from lbkd.features import tokens
from lbkd.features.batches import collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Template, TokenTable, tokenizer_hash
from lbkd.features.windows import WindowSettings

if TYPE_CHECKING:
    from lbkd.features.tokens import Ints
from letters import build, dataset


def test_positions_by_hand() -> None:
    """Texts of three tokens, none, and two; the first has two tokens that begin with the same character."""
    table = TokenTable(
        rows=np.array([0, 3, 3, 5]),
        ids=np.zeros(5, dtype=np.int32),
        begins=np.array([1, 4, 4, 0, 2]),
        ends=np.array([3, 5, 6, 2, 4]),
    )
    starts = {0: [(0, -1), (1, 0), (3, 0), (4, 2), (9, 2)], 1: [(0, -1)], 2: [(0, 0), (1, 0), (3, 1)]}
    ends = {0: [(0, 0), (3, 0), (4, 1), (5, 1), (6, 2), (7, 3)], 1: [(1, 0)], 2: [(2, 0), (3, 1), (5, 2)]}
    for ending, cases in ((False, starts), (True, ends)):
        texts = np.array([text for text, pairs in cases.items() for _ in pairs])
        characters, expected = np.array([pair for pairs in cases.values() for pair in pairs]).T
        assert table.position(texts, characters, ending=ending).tolist() == expected.tolist()


def test_tokens_are_mapped_and_used_again(
    corpus: ParallelCorpus,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = build(corpus, tokenizer, tmp_path, 12, 4, 3)
    work = tokens.tokenize
    asked: list[tuple[str, ...]] = []

    def spy(texts: tuple[str, ...], tokenizer: PreTrainedTokenizerFast, language: str) -> tokens.TokenTable:
        asked.append(tuple(texts))
        return work(texts, tokenizer, language)

    monkeypatch.setattr(tokens, "tokenize", spy)
    second = build(corpus, tokenizer, tmp_path, 30, 4, 3)
    assert asked == []
    for table in (*first.passages.values(), *second.questions.values()):
        for array in (table.ids, table.begins, table.ends):
            assert is_mapped(array)
            assert not array.flags.writeable
    for language, data in corpus.datasets.items():
        direct = work(data.passages, tokenizer, language)
        for name, array in vars(second.passages[language]).items():
            assert np.array_equal(array, getattr(direct, name))

    spanish = corpus.datasets["es"]
    changed = Dataset(**{**vars(spanish), "passages": ("a b c d e g g",)})
    third = build(
        ParallelCorpus({**corpus.datasets, "es": changed}, "en", corpus.question_ids),
        tokenizer,
        tmp_path,
        12,
        4,
        3,
    )
    assert asked == [("a b c d e g g",)]
    assert third.passages["es"].ids.tolist() == [5, 6, 7, 8, 9, 11, 11]
    assert first.passages["es"].ids.tolist() == [5, 6, 7, 8, 9, 10, 11]

    FeatureSet.build(corpus, tokenizer, "another tokenizer", tmp_path, WindowSettings(12, 4, 3))
    assert len(asked) == 7


def is_mapped(array: "Ints") -> bool:
    """The array's memory is a file's."""
    base: object = array
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    return isinstance(base, np.memmap)


def test_texts_without_any_token(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    nothing = dataset("en", ["\u0007"], ("1", "\u0007", 0, None))
    features = build(ParallelCorpus({"en": nothing}, "en", ("1",)), tokenizer, tmp_path, 12, 4, 3)
    batch = collate(features, features.features([("en", "en")]))
    assert batch.input_ids.tolist() == [[2, 3, 3]]
    assert batch.starts.tolist() == batch.ends.tolist() == [0]
    assert batch.windows.owned(1, features.passage_tokens(batch.windows)).tolist() == [[False]]


def test_a_tokenizer_that_cuts_and_pads_on_its_own(
    corpus: ParallelCorpus, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """As the `tokenizer.json` of many sentence encoders does."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.enable_truncation(4)
    backend.enable_padding(length=8)
    cutting = PreTrainedTokenizerFast(tokenizer_object=backend, **tokenizer.special_tokens_map)
    features = FeatureSet.build(corpus, cutting, "cuts", tmp_path, WindowSettings(12, 4, 3))
    assert features.passages["en"].lengths.tolist() == [10, 2]
    assert features.questions["es"].lengths.tolist() == [1, 6]


def test_tokenizer_hash(
    tokenizer: PreTrainedTokenizerFast, wordpiece_tokenizer: PreTrainedTokenizerFast
) -> None:
    before = tokenizer_hash(tokenizer)
    tokenizer("a b c", truncation=True, padding="max_length", max_length=5)
    assert tokenizer_hash(tokenizer) == before != tokenizer_hash(wordpiece_tokenizer)


def test_template(tokenizer: PreTrainedTokenizerFast, e5_tokenizer: PreTrainedTokenizerFast) -> None:
    assert Template.of(tokenizer) == Template((2,), (3,), (3,), passage_type=1, pad=0, has_types=True)
    assert Template.of(e5_tokenizer) == Template((0,), (2, 2), (2,), passage_type=0, pad=1, has_types=False)
