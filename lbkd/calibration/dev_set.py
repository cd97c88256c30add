"""Questions to calibrate on, which no model is trained or tested on."""

from collections.abc import Sequence
from pathlib import Path

from lbkd.corpus.overlap import shared_questions
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError
from lbkd.evaluation.benchmarks import BENCHMARKS
from lbkd.evaluation.evaluation_set import EvaluationSet, benchmark_set, tests_at_hand
from lbkd.project import Project


def dev_set(project: Project, split: str | None = None) -> EvaluationSet:
    """The corpus's questions to calibrate on, in all languages that have a file of them.

    Args:
        project: corpus and settings.
        split: by default `corpus.dev`.

    Raises:
        ConfigError: the split is the one that is tested or trained on, has no file, or see `check_unseen`.
        DataError: a faulty file.
    """
    corpus = project.settings.corpus
    split = split or corpus.dev
    if split in (corpus.test, corpus.train):
        used = "tested" if split == corpus.test else "trained"
        raise ConfigError(
            f"split {split!r}: models are {used} on it, and not calibrated on what they are {used} on; name "
            "another (--split, corpus.dev), such as dev."
        )
    languages = dict.fromkeys((*corpus.languages, *corpus.zero_shot))
    paths = {name: project.settings.path(split, name) for name in languages}
    there = {name: path for name, path in paths.items() if path.exists()}
    if not there:
        raise ConfigError(
            f"{corpus.dir} has no {split} file in any language, such as {paths[corpus.source]}, to calibrate "
            "on. It takes some hundred questions a language that are neither trained nor tested on: cut them "
            "off the training files with `lbkd data split`, name another --split, or take a benchmark's "
            "development questions: --benchmark mlqa."
        )
    source = corpus.source if corpus.source in there else next(iter(there))
    read = ParallelCorpus.read(there, source, corpus.limit, native=corpus.native)
    return check_unseen(project, EvaluationSet(split, read, project.settings.evaluation.metric))


def benchmark_dev_set(
    project: Project, name: str, folder: Path, languages: Sequence[str] | None = None
) -> EvaluationSet:
    """The development questions of a public benchmark.

    Args:
        project: corpus and settings.
        name: the benchmark's.
        folder: the data folder of `lbkd data download`.
        languages: some of the benchmark's languages; by default all.

    Raises:
        ConfigError: no such benchmark, one that has test questions alone, or see `check_unseen`.
        DataError: files that are missing or faulty.
    """
    if name in BENCHMARKS and "dev" not in BENCHMARKS[name].splits:
        others = ", ".join(each.name for each in BENCHMARKS.values() if "dev" in each.splits)
        raise ConfigError(
            f"{name} has test questions alone, which no model is calibrated on; take the development "
            f"questions of {others}, or a split of the corpus."
        )
    return check_unseen(project, benchmark_set(f"{name}.dev", folder, languages))


def check_unseen(project: Project, dev: EvaluationSet) -> EvaluationSet:
    """The set, if none of its questions is in a test set at hand: the corpus's own, or a benchmark's.

    Raises:
        ConfigError: questions are shared.
    """
    for name, test in tests_at_hand(project, dev.corpus.languages):
        if shared := shared_questions(test, dev.corpus):
            raise ConfigError(
                f"{len(shared)} of the {len(dev.corpus.question_ids)} questions of {dev.name} are in the "
                f"test set {name}, such as {shared[0].text[:80]!r}. A model is not calibrated on what it is "
                "tested on; name another split or benchmark, or another corpus.test if that one is not."
            )
    return dev
