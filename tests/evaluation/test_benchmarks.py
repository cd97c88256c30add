import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Answer, Dataset, read
from lbkd.datasets.sources import DATASETS
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.benchmarks import BENCHMARKS
from lbkd.evaluation.evaluation_set import benchmark_set

LIKE = {"zh": "en"}
"""The corpus that ships has no Chinese; its English stands in."""


def has(language: str, number: int) -> bool:
    """Whether the question of this number exists in a language: always in English, else in about half."""
    return language == "en" or (number + len(language) * ord(language[0]) + ord(language[1])) % 9 < 5


def document(passages: Dataset, questions: Dataset, languages: tuple[str, str]) -> dict[str, Any]:
    """The file of a pair, built as MLQA builds it: the questions that exist in both languages."""
    asked = {question.id: question.text for question in questions.questions}
    paragraphs: list[dict[str, Any]] = [{"context": text, "qas": []} for text in passages.passages]
    for number, question in enumerate(passages.questions):
        if all(has(language, number) for language in languages):
            answers = [{"text": answer.text, "answer_start": answer.start} for answer in question.answers]
            entry = {"id": question.id, "question": asked[question.id], "answers": answers}
            paragraphs[question.passage]["qas"].append(entry)
    kept = [paragraph for paragraph in paragraphs if paragraph["qas"]]
    return {"data": [{"title": "", "paragraphs": kept}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 49 files of MLQA's kind."""
    folder = tmp_path_factory.mktemp("data")
    mlqa = BENCHMARKS["mlqa"]
    parts = {
        language: read(BUILTIN_CORPUS / f"test.{LIKE.get(language, language)}.json", language)
        for language in mlqa.languages
    }
    for passage, question in product(mlqa.languages, repeat=2):
        path = mlqa.path(folder, "test", passage, question)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = document(parts[passage], parts[question], (passage, question))
        path.write_text(json.dumps(content), encoding="utf-8")
    return folder


Row = tuple[str, str, str, tuple[Answer, ...]]


def official(path: Path) -> set[Row]:
    """Id, passage, question and answers of all that an official file asks."""
    data = read(path, "")
    return {(item.id, data.passages[item.passage], item.text, item.answers) for item in data.questions}


def paired(corpus: ParallelCorpus, passage: str, question: str) -> Iterator[Row]:
    """The same of a pair of languages of a parallel corpus."""
    passages, questions = corpus.datasets[passage], corpus.datasets[question]
    rows = zip(corpus.question_ids, corpus.rows[passage], corpus.rows[question], strict=True)
    for id, mine, theirs in rows:
        if mine >= 0 and theirs >= 0:
            item = passages.questions[mine]
            yield id, passages.passages[item.passage], questions.questions[theirs].text, item.answers


def test_every_pair_of_mlqa_is_its_official_file(folder: Path) -> None:
    mlqa = BENCHMARKS["mlqa"]
    corpus = mlqa.read(folder, "test", mlqa.languages)
    assert corpus.source == "en"
    sizes = set()
    for passage, question in product(mlqa.languages, repeat=2):
        rows = [*paired(corpus, passage, question)]
        assert {*rows} == official(mlqa.path(folder, "test", passage, question))
        assert len(rows) == len({*rows})
        sizes.add(len(rows))
    assert len(sizes) > 5  # the pairs differ, as they do in MLQA
    assert max(sizes) == len(corpus.datasets["en"].questions)


def test_some_languages_without_english(folder: Path) -> None:
    corpus = BENCHMARKS["mlqa"].read(folder, "test", ("hi", "de"))
    assert (corpus.languages, corpus.source) == (("hi", "de"), "hi")
    assert {*paired(corpus, "hi", "de")} == official(BENCHMARKS["mlqa"].path(folder, "test", "hi", "de"))


def test_xquad_reads_as_it_comes(shared_data: Path) -> None:
    xquad = BENCHMARKS["xquad"]
    languages = ("en", "es", "de", "ar", "hi", "vi")
    corpus = xquad.read(shared_data, "test", languages)
    for language in languages:
        rows = {*paired(corpus, language, language)}
        assert rows == official(xquad.path(shared_data, "test", language, language))
        assert len(rows) == 1190
    assert len({*paired(corpus, "es", "ar")}) == 1190


def test_the_files_are_those_that_the_downloads_bring() -> None:
    for benchmark in BENCHMARKS.values():
        pairs = product(benchmark.languages, repeat=2)
        asked = {
            benchmark.path(Path(), split, passage, question).as_posix()
            for passage, question in pairs
            if passage == question or benchmark.name == "mlqa"
            for split in benchmark.splits
        }
        brought = [p for source in DATASETS[benchmark.name].sources for p in source.places.values()]
        assert asked == {*brought}
    assert [(b.name, len(b.languages), b.metric) for b in BENCHMARKS.values()] == [
        ("xquad", 12, "squad-v1"),
        ("mlqa", 7, "mlqa"),
    ]


def test_a_split_of_a_benchmark_by_its_name(shared_data: Path) -> None:
    dev = benchmark_set("mlqa.dev", shared_data, ("en", "hi"))
    assert (dev.name, dev.metric, dev.scores) == ("mlqa.dev", "mlqa", "eval/mlqa.dev.json")
    assert [len(dev.golds(language, language)) for language in ("en", "hi")] == [1148, 507]
    with pytest.raises(ConfigError, match="mlqa has no split 'train'; choices: dev, test"):
        benchmark_set("mlqa.train", shared_data)
    with pytest.raises(ConfigError, match="no benchmark 'mlqb.dev'; did you mean 'mlqa'"):
        benchmark_set("mlqb.dev", shared_data)


@pytest.mark.parametrize(
    ("name", "pair", "message"),
    [
        ("mlqa", ("train", "en", "en"), "mlqa has no split 'train'; choices: dev, test"),
        ("mlqa", ("test", "en", "th"), "mlqa has no language 'th'; .*ar, de, en"),
        ("xquad", ("test", "fr", "en"), "xquad has no language 'fr'"),
        ("xquad", ("test", "en", "es"), "no file of questions in 'es' about passages in 'en'"),
    ],
)
def test_no_such_file(name: str, pair: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BENCHMARKS[name].path(Path(), *pair)


def test_missing_files_say_how_to_get_them(folder: Path) -> None:
    message = "mlqa: 2 of 2 files are missing, the first is .*dev-context-de-question-de.json"
    with pytest.raises(DataError, match=f"{message}.*`lbkd data download mlqa --out {folder}`"):
        BENCHMARKS["mlqa"].read(folder, "dev", ("de", "en"))
