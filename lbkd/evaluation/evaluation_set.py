"""Questions to score models with: a corpus's own test split, or a public benchmark."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError, nearest
from lbkd.evaluation.benchmarks import BENCHMARKS
from lbkd.features.dataset import LanguagePair
from lbkd.project import Project


@dataclass(frozen=True)
class EvaluationSet:
    """Questions to score models with."""

    name: str
    """In the names of files with answers and scores."""
    corpus: ParallelCorpus
    metric: str
    matrix: bool = False
    """Ask in every language about passages in every language (G-XLT), instead of in the passage's own."""

    @property
    def pairs(self) -> list[LanguagePair]:
        """The pairs of languages that share at least one question."""
        languages = self.corpus.languages
        pairs = [(k, j) for k in languages for j in (languages if self.matrix else [k])]
        return [pair for pair in pairs if self.golds(*pair)]

    @property
    def scores(self) -> str:
        """Name of the file with the scores, in a model's folder."""
        return f"eval/{self.name}{'.matrix' if self.matrix else ''}.json"

    def answers(self, passage: str, question: str) -> str:
        """Name of the file with the answers for a pair of languages, in a model's folder."""
        return f"eval/{self.name}.{f'matrix.{passage}-{question}' if self.matrix else passage}.json"

    def golds(self, passage: str, question: str) -> dict[str, list[str]]:
        """Question id -> reference answers, for the questions that both languages have."""
        asked = set(self.corpus.datasets[question].ids)
        return {
            item.id: [answer.text for answer in item.answers]
            for item in self.corpus.datasets[passage].questions
            if item.id in asked
        }

    @property
    def shared(self) -> int:
        """Number of questions that every language has."""
        ids = [set(data.ids) for data in self.corpus.datasets.values()]
        return len(set.intersection(*ids))


def own_test_set(project: Project, languages: Sequence[str] | None = None) -> EvaluationSet:
    """The corpus's own test split.

    Args:
        project: with the corpus.
        languages: some of the languages that have a test file; by default all.

    Raises:
        ConfigError: a language without a test file.
        DataError: a faulty file, or no file in any language.
    """
    settings, corpus = project.settings, project.test_corpus
    for language in languages or ():
        if language not in corpus.languages:
            raise ConfigError(
                f"{settings.path(settings.corpus.test, language)} is asked for and not there; "
                f"{nearest(language, corpus.languages)}"
            )
    if languages:
        corpus = corpus.only(languages)
    return EvaluationSet(settings.corpus.test, corpus, settings.evaluation.metric)


def benchmark_set(name: str, folder: Path, languages: Sequence[str] | None = None) -> EvaluationSet:
    """The questions of a public benchmark, with its official metric.

    Args:
        name: the benchmark's; `NAME.SPLIT`, such as mlqa.dev, for another split than the test questions.
        folder: the data folder of `lbkd data download`.
        languages: some of the benchmark's languages; by default all.

    Raises:
        ConfigError: no such benchmark, or a split or a language that the benchmark lacks.
        DataError: files that are missing or faulty.
    """
    known, _, split = name.partition(".")
    if known not in BENCHMARKS:
        raise ConfigError(f"no benchmark {name!r}; {nearest(known, BENCHMARKS)}")
    benchmark = BENCHMARKS[known]
    corpus = benchmark.read(folder, split or "test", languages or benchmark.languages)
    return EvaluationSet(name, corpus, benchmark.metric)


def tests_at_hand(project: Project, languages: Sequence[str]) -> Iterator[tuple[str, ParallelCorpus]]:
    """Name and texts of each test set at hand, in those of the languages that it has a file in."""
    settings = project.settings
    places = {"of the corpus": {name: settings.path(settings.corpus.test, name) for name in languages}}
    for benchmark in BENCHMARKS.values():
        folder = settings.corpus.benchmarks
        places[benchmark.name] = {
            name: benchmark.path(folder, "test", name, name)
            for name in languages
            if name in benchmark.languages
        }
    for name, paths in places.items():
        there = {language: path for language, path in paths.items() if path.exists()}
        if there:
            first = next(iter(there))
            yield f"{name} ({there[first]})", ParallelCorpus.read(there, first, native=settings.corpus.native)
