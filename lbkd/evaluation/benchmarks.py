"""The public benchmarks: languages, metric, and files as `lbkd data download` lays them out."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.datasets.sources import MLQA_LANGUAGES, MLQA_SPLITS, XQUAD_LANGUAGES
from lbkd.errors import ConfigError, DataError, nearest


@dataclass(frozen=True)
class Benchmark:
    """Parallel questions to score models with."""

    name: str
    """Also the name for `lbkd data download`."""
    languages: tuple[str, ...]
    splits: tuple[str, ...]
    metric: str
    """The official script's name in `evaluation.metric`."""
    files: str
    """Path in the data folder, with {split}, {passage} and, if pairs have files, {question}."""

    def path(self, folder: Path, split: str, passage: str, question: str) -> Path:
        """The official file of a pair of languages.

        Raises:
            ConfigError: an unknown split or language, or a pair of languages that has no file of its own.
        """
        for kind, name, known in (
            ("split", split, self.splits),
            ("language", passage, self.languages),
            ("language", question, self.languages),
        ):
            if name not in known:
                raise ConfigError(f"{self.name} has no {kind} {name!r}; {nearest(name, known)}")
        if passage != question and "{question}" not in self.files:
            raise ConfigError(
                f"{self.name} has no file of questions in {question!r} about passages in {passage!r}. "
                "Read both languages; the ids make the pair."
            )
        return folder / self.files.format(split=split, passage=passage, question=question)

    def read(self, folder: Path, split: str, languages: Sequence[str]) -> ParallelCorpus:
        """A split in some languages: one file for each language, aligned by question id.

        The pair (passage k, question j) has the questions of both languages, with k's passages and answers
        and j's wording, exactly as the official file of the pair.

        Raises:
            ConfigError: an unknown split or language.
            DataError: files that are missing or faulty.
        """
        paths = {language: self.path(folder, split, language, language) for language in languages}
        if missing := [str(path) for path in paths.values() if not path.exists()]:
            raise DataError(
                f"{self.name}: {len(missing)} of {len(paths)} files are missing, the first is {missing[0]}. "
                f"`lbkd data download {self.name} --out {shlex.quote(str(folder))}` brings them."
            )
        return ParallelCorpus.read(paths, "en" if "en" in paths else languages[0])


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("xquad", XQUAD_LANGUAGES, ("test",), "squad-v1", "xquad/xquad.{passage}.json"),
        Benchmark(
            "mlqa",
            MLQA_LANGUAGES,
            MLQA_SPLITS,
            "mlqa",
            "mlqa/{split}/{split}-context-{passage}-question-{question}.json",
        ),
    )
}
