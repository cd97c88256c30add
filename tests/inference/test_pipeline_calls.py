"""Every way to ask transformers' former question-answering pipeline; the shapes of what it gave."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import LONG, PASSAGE, QUESTION, is_answer, same

from lbkd.inference import Answerer

ENTRY = {"question": QUESTION, "context": PASSAGE}
OTHER = {"question": "When?", "context": LONG}
QUESTIONS, CONTEXTS = [QUESTION, "When?"], [PASSAGE, LONG]


@pytest.fixture(scope="module")
def one(answerer: Answerer) -> Any:
    """The answer to ENTRY."""
    return answerer(question=QUESTION, context=PASSAGE)


@pytest.fixture(scope="module")
def both(answerer: Answerer, one: Any) -> Any:
    """The answers to ENTRY and OTHER."""
    return [one, answerer(question="When?", context=LONG)]


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ((QUESTION, PASSAGE), {}),
        ((), ENTRY),
        ((ENTRY,), {}),
        ((), {"X": ENTRY}),
        ((), {"data": ENTRY}),
    ],
)
def test_one_question_gives_a_dictionary(answerer: Answerer, one: Any, inputs: Any, named: Any) -> None:
    assert is_answer(one)
    assert answerer(*inputs, **named) == one
    assert answerer(*inputs, **named, top_k=1) == one
    several = answerer(*inputs, **named, top_k=3)
    assert len(several) == 3
    assert all(map(is_answer, several))
    assert several[0] == one


@pytest.mark.parametrize("name", [None, "X", "data"])
def test_a_list_of_one_gives_a_list(answerer: Answerer, one: Any, name: str | None) -> None:
    assert (answerer(**{name: [ENTRY]}) if name else answerer([ENTRY])) == [one]


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        (([ENTRY, OTHER],), {}),
        (((ENTRY, OTHER),), {}),
        ((ENTRY, OTHER), {}),
        ((QUESTIONS, CONTEXTS), {}),
        ((), {"question": QUESTIONS, "context": CONTEXTS}),
        ((), {"question": tuple(QUESTIONS), "context": iter(CONTEXTS)}),
        ((), {"X": [ENTRY, OTHER]}),
        ((), {"data": [ENTRY, OTHER]}),
    ],
)
def test_several_questions_give_a_list(answerer: Answerer, both: Any, inputs: Any, named: Any) -> None:
    assert same(answerer(*inputs, **named), both)


def test_several_questions_and_several_answers_give_lists_of_lists(answerer: Answerer) -> None:
    found = answerer(QUESTIONS, CONTEXTS, top_k=3)
    assert [len(answers) for answers in found] == [3, 3]
    assert all(is_answer(answer) for answers in found for answer in answers)


def test_one_passage_for_all_questions(answerer: Answerer, one: Any) -> None:
    assert same(answerer(question=[QUESTION, QUESTION], context=PASSAGE), [one, one])
    assert same(answerer([QUESTION, QUESTION], PASSAGE), [one, one])


def test_twenty_answers(answerer: Answerer) -> None:
    found = answerer(question="Where was it founded?", context="It was founded in Paris.", top_k=20)
    assert len(found) == 20
    assert all(map(is_answer, found))


def test_options_that_change_no_answer(answerer: Answerer) -> None:
    usual = answerer(question=QUESTION, context=PASSAGE * 20)
    assert is_answer(usual)
    for options in ({"batch_size": 2}, {"padding": "max_length"}, {"padding": True}, {"topk": 1}):
        assert same(answerer(question=QUESTION, context=PASSAGE * 20, **options), usual)
    assert is_answer(answerer(QUESTION, PASSAGE, handle_impossible_answer=True))
    assert answerer(ENTRY, topk=2) == answerer(ENTRY, top_k=2)
    assert answerer(ENTRY, top_k=None) == answerer(ENTRY)


def counted(entries: list[Any], taken: list[Any]) -> Iterator[Any]:
    """Hands entries out and notes which."""
    for entry in entries:
        taken.append(entry)
        yield entry


@pytest.mark.parametrize("name", [None, "X", "data"])
def test_a_generator_is_answered_as_it_goes(answerer: Answerer, both: Any, name: str | None) -> None:
    taken: list[Any] = []
    entries = counted([ENTRY, OTHER, ENTRY], taken)
    found = answerer(**{name: entries}) if name else answerer(entries)
    assert taken == []
    assert same(next(found), both[0])
    assert taken == [ENTRY]
    assert same(next(found), both[1])
    assert taken == [ENTRY, OTHER]
    assert same(list(found), both[:1])


def test_a_generator_is_taken_in_batches(answerer: Answerer, both: Any) -> None:
    taken: list[Any] = []
    found = answerer(counted([ENTRY, OTHER, ENTRY], taken), batch_size=2, top_k=2)
    assert [answer["score"] for answer in next(found)][0] == pytest.approx(both[0]["score"], rel=1e-4)
    assert len(taken) == 2
    assert [len(answers) for answers in found] == [2, 2]


def test_a_bad_entry_of_a_generator_comes_after_the_answers_before_it(answerer: Answerer, one: Any) -> None:
    found = answerer(iter([ENTRY, {"question": QUESTION}]))
    assert next(found) == one
    with pytest.raises(KeyError, match="question 1: the key 'context' is missing"):
        next(found)


def test_options_given_once_for_all_calls(tiny_model_folder: Path, answerer: Answerer) -> None:
    told = Answerer(tiny_model_folder, device=-1, top_k=2, handle_impossible_answer=True, batch_size=16)
    expected = answerer(ENTRY, top_k=2, handle_impossible_answer=True)
    assert same(told(ENTRY), expected)
    assert [same(found, expected) for found in told(iter([ENTRY] * 3))] == [True] * 3
    assert is_answer(told(ENTRY, topk=1))
    with pytest.raises(ValueError, match=r"no option 'max_seq_length'; did you mean 'max_seq_len'\?"):
        Answerer(tiny_model_folder, max_seq_length=512)


def test_a_dataset_of_torch(answerer: Answerer, both: Any) -> None:
    from torch.utils.data import Dataset, IterableDataset

    class Rows(Dataset[dict[str, str]]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, number: int) -> dict[str, str]:
            return [ENTRY, OTHER, ENTRY][number]

    class Stream(IterableDataset[dict[str, str]]):
        def __iter__(self) -> Iterator[dict[str, str]]:
            return iter([ENTRY, OTHER])

    assert same(answerer(Rows()), both)
    assert same(list(answerer(Stream())), both)


def test_columns_of_pandas(answerer: Answerer, both: Any) -> None:
    pandas = pytest.importorskip("pandas", reason="needs the package pandas")
    table = pandas.DataFrame([ENTRY, OTHER], index=[7, 3])
    assert same(answerer(question=table["question"], context=table["context"]), both)
    assert same(answerer(table["question"], table["context"].to_numpy()), both)
    assert same(answerer(table.to_dict("records")), both)
    with pytest.raises(ValueError, match="question 0: 'question': expected {'question': ..., 'context'"):
        answerer(table)
    table.loc[3, "context"] = float("nan")
    with pytest.raises(ValueError, match="question 1: the passage is nan"):
        answerer(question=table["question"], context=table["context"])


def test_rows_and_columns_of_datasets(answerer: Answerer, one: Any, both: Any) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the package datasets, in the extra lbkd[bench]")
    from pyarrow import Table

    table = Table.from_pylist([{"id": "a", **ENTRY}, {"id": "b", **OTHER}])
    rows = datasets.Dataset(table, fingerprint="rows")  # told, because some pairs of versions cannot hash it
    assert same(answerer(rows), both)
    assert same(answerer(rows[0]), one)
    assert same(answerer(question=rows["question"], context=rows["context"]), both)
    stream = answerer(rows.to_iterable_dataset())
    assert same(next(stream), one)
    assert same(list(stream), both[1:])
