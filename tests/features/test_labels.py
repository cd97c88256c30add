"""Characters of tokens, and labels: five families of tokenizers on all data at hand."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from label_rules import answers, bare, faults, fewest, run_qa
from letters import build, dataset
from tokenizer_families import byte_level, holed
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from lbkd.corpus import squad
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset
from lbkd.features.characters import characters
from lbkd.features.labels import Ceiling, answer_tokens, ceiling
from lbkd.features.tokens import TokenTable, tokenize

FAMILIES = ("e5", "wordpiece", "byte-level", "holed", "xlm")
PASSAGES = 12
"""Passages of each file that are looked at, evenly spread: all 15,000 answers would take minutes."""


@pytest.fixture(scope="module")
def tokenizer_of(
    request: pytest.FixtureRequest, builtin_texts: tuple[str, ...]
) -> Callable[[str], PreTrainedTokenizerBase]:
    made: dict[str, PreTrainedTokenizerBase] = {}

    def of(family: str) -> PreTrainedTokenizerBase:
        if family not in made:
            makers = {"byte-level": byte_level, "holed": holed}
            maker = makers.get(family)
            found = maker(builtin_texts[::3]) if maker else request.getfixturevalue(f"{family}_tokenizer")
            made[family] = found
        return made[family]

    return of


def sampled(data: Dataset, count: int) -> Dataset:
    """Some passages of a dataset, with all of their questions."""
    step = max(1, len(data.passages) // count)
    rows = {row: n for n, row in enumerate(range(0, len(data.passages), step))}
    questions = [replace(q, passage=rows[q.passage]) for q in data.questions if q.passage in rows]
    return replace(data, passages=[data.passages[row] for row in rows], questions=questions)


@pytest.fixture(scope="module")
def at_hand(shared_data: Path) -> list[Dataset]:
    """Some passages of every file, so that each family takes a second or two."""
    return [sampled(data, PASSAGES) for data in files(shared_data)]


def files(folder: Path) -> Iterator[Dataset]:
    """XQuAD, the same-language pairs of MLQA's development set, TyDiQA, and two files of faults."""
    for path in sorted(folder.glob("xquad/*.json")) + sorted(folder.glob("tydiqa/*.json")):
        yield squad.read(path, path.suffixes[-2].removeprefix("."))
    for language in ("ar", "de", "en", "es", "hi", "vi"):
        yield squad.read(folder / f"mlqa/dev/dev-context-{language}-question-{language}.json", language)
    for name in ("edges.tr", "one-character.zh"):
        yield squad.read(folder / f"shapes/{name}.json", name[-2:])


@pytest.mark.parametrize("family", FAMILIES)
def test_characters_and_labels_of_all_data(
    at_hand: list[Dataset], tokenizer_of: Callable[[str], PreTrainedTokenizerBase], family: str
) -> None:
    """No character without a token; labels have the stripped answer, and no more than tokens force."""
    tokenizer, seen = tokenizer_of(family), 0
    for whole in at_hand:
        data = sampled(whole, PASSAGES if family != "xlm" else 3)
        language = data.language if family != "xlm" or data.language in ("ar", "es", "hi", "vi") else "en"
        table = tokenize(data.passages, tokenizer, language)
        assert faults(data, table) == []
        seen += len(data.questions)
    assert seen > (150 if family == "xlm" else 600)


@pytest.mark.parametrize("family", ["e5", "wordpiece", "byte-level", "holed"])
def test_labels_are_those_of_run_qa_where_these_are_right(
    at_hand: list[Dataset], tokenizer_of: Callable[[str], PreTrainedTokenizerBase], family: str
) -> None:
    tokenizer = tokenizer_of(family)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    same = others = 0
    for data in at_hand:
        table, spans = tokenize(data.passages, tokenizer, data.language), answers(data)
        first, last = answer_tokens(table, *spans)
        backend = tokenizer.backend_tokenizer
        told = [e.offsets for e in backend.encode_batch(list(data.passages), add_special_tokens=False)]
        for n, (row, begin, end) in enumerate(np.stack(spans, axis=1).tolist()):
            i, j = run_qa(told[row], begin, end)
            at = slice(table.rows[row], table.rows[row + 1])
            begins, ends = table.begins[at], table.ends[at]
            right = 0 <= i <= j < len(ends) and begins[i] <= begin and end <= ends[j]
            if right and ends[j] - begins[i] == fewest(begins, ends, begin, end):
                assert (first[n], last[n]) == (i, j)
                same += 1
            else:
                others += 1
    assert same > (10 if family == "holed" else 600)
    assert others > 500 if family == "holed" else others < 30


def labelled(tokenizer: PreTrainedTokenizerFast, folder: Path, data: Dataset) -> list[str]:
    """The passage's text under the label of each question's answer."""
    corpus = ParallelCorpus({data.language: data}, data.language, tuple(data.ids))
    features = build(corpus, tokenizer, folder, 384, 64, 128)
    windows = features.windows(features.features([(data.language, data.language)]))
    table = features.passages[data.language]
    rows = table.rows[features.passage_rows(windows)]
    spans = zip(table.begins[rows + windows.first], table.ends[rows + windows.last], strict=True)
    return [features.passage_text(windows, n)[b:e].strip() for n, (b, e) in enumerate(spans)]


@pytest.mark.parametrize(
    ("name", "expected"), [("edges.tr", ["Pardus", "Linux"]), ("one-character.zh", ["西", "六"])]
)
def test_answers_with_white_space_and_of_one_character(
    shared_data: Path, e5_tokenizer: PreTrainedTokenizerFast, tmp_path: Path, name: str, expected: list[str]
) -> None:
    data = squad.read(shared_data / f"shapes/{name}.json", name[-2:])
    assert labelled(e5_tokenizer, tmp_path, data) == expected


def test_the_ceiling_by_hand() -> None:
    """A whole word, one whose token has a full stop too, one inside a word, and white space at an edge."""
    texts = ("in 1990. end", "Mondlicht")
    data = dataset(
        "de",
        list(texts),
        ("1", "?", 0, "in"),
        ("2", "?", 0, "1990"),
        ("3", "?", 1, "Mond"),
        ("4", "?", 0, " end"),
        ("5", "?", 1, None),
    )
    table = TokenTable(
        rows=np.array([0, 3, 4]),
        ids=np.zeros(4, dtype=np.int32),
        begins=np.array([0, 2, 8, 0]),
        ends=np.array([2, 8, 12, 9]),
    )
    assert ceiling(data, table) == Ceiling(answers=4, whole=2)
    assert ceiling(data, table).share == 0.5


def test_words_that_lost_their_first_letter() -> None:
    """Two words of their own, one in brackets, one of a single letter, one that is two pieces of bytes."""
    text = "Hallo (wereld), het (a) ꙮ!"
    tokenizer = holed(["Hallo wereld het a"])
    raw = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).offsets
    assert bare(text, *np.array(raw).T) != ""
    table = tokenize([text], tokenizer, "nl")
    covered = [text[b:e] for b, e in zip(table.begins.tolist(), table.ends.tolist(), strict=True)]
    assert [part for n, part in enumerate(covered) if part != covered[n - 1]] == (
        ["Hallo", "(", "wereld", ")", ",", "het", "(", "a", ")", "ꙮ", "!"]
    )


@pytest.mark.parametrize(
    ("text", "told", "expected"),
    [
        ("abc def", [(0, 2), (4, 7)], ["abc", "def"]),
        ("abc def", [(1, 3), (5, 7)], ["abc", "def"]),
        ("a-b", [(0, 1), (2, 3)], ["a-", "b"]),
        ("a - b", [(0, 1), (4, 5)], ["a -", "b"]),
        ("- b", [(2, 3)], ["- b"]),
        ("a - b", [(0, 1), (3, 3), (4, 5)], ["a", "-", "b"]),
        ("a + - b", [(0, 1), (4, 5), (4, 4), (6, 7)], ["a +", "-", "", "b"]),
        ("a + - b", [(0, 1), (0, 0), (6, 7)], ["a", "+ -", "b"]),
        ("aé", [(0, 1), (1, 2), (1, 2)], ["a", "é", "é"]),
        ("ab", [(1, 2), (0, 1)], ["ab", "ab"]),
        ("ab", [(0, 0)], ["ab"]),
        ("ab", [], []),
        ("", [], []),
    ],
)
def test_holes_by_hand(text: str, told: list[tuple[int, int]], expected: list[str]) -> None:
    """Alone, and between two other texts, which never take part."""
    offsets = np.array(told, dtype=np.int64).reshape(-1, 2)
    for around in ([], ["xy"]):
        other = np.array([(0, 1)] * len(around)).reshape(-1, 2)
        texts = [*around, text, *around]
        lengths = np.array([len(other)] * len(around) + [len(told)] + [len(other)] * len(around))
        found = characters(texts, lengths, np.concatenate([other, offsets, other]).astype(np.int64))
        mine = found[len(other) : len(other) + len(told)].tolist()
        assert [text[begin:end] for begin, end in mine] == expected


def test_the_shortest_token_is_the_label_where_tokens_share_an_answer() -> None:
    """`▁` and `西` of one character, `▁` and `西车`, and three bytes of one letter."""
    for spans, label in (
        ([(0, 1), (0, 1), (1, 2)], (1, 1)),
        ([(0, 1), (0, 2)], (0, 0)),
        ([(0, 1), (0, 1), (0, 1)], (2, 2)),
    ):
        begins, ends = np.array(spans).T
        table = TokenTable(np.array([0, len(spans)]), np.zeros(len(spans), dtype=int), begins, ends)
        found = answer_tokens(table, np.array([0]), np.array([0]), np.array([1]))
        assert (int(found[0][0]), int(found[1][0])) == label
