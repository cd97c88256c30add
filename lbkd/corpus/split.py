"""Parallel files split by article into training and test files, with equal articles in every language."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbkd.corpus import squad
from lbkd.corpus.check import load, shown
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset
from lbkd.errors import ConfigError, DataError
from lbkd.outputs import replacing_files


@dataclass(frozen=True)
class SplitFile:
    """One file that `split` wrote."""

    language: str
    split: str
    """`train` or `test`."""
    path: Path
    articles: int
    """Number of articles in the file."""
    questions: int
    """Number of questions in the file."""


def split(
    paths: Mapping[str, Path],
    source: str,
    outdir: Path,
    every: int = 4,
    overwrite: bool = False,
    native: Sequence[str] = (),
) -> tuple[SplitFile, ...]:
    """Write `train.<language>.json` and `test.<language>.json` for each language.

    The last of each `every` source articles goes to the test file: with 4, the articles whose index % 4 is 3.
    So it is with the articles of a native language. An article of another language goes to the split in which
    the source has the article's questions, whatever its position; an article without questions is left out.
    All fields are copied. Nothing is written if an error is raised.

    Args:
        paths: language to its file.
        source: the language whose articles are counted.
        outdir: folder of the new files.
        every: one article of so many is for testing.
        overwrite: replace files that are there, whoever wrote them.
        native: languages whose questions are their own.

    Raises:
        ConfigError: `every` is below 2.
        DataError: a file is faulty, a split of a language would be empty, an article mixes questions of two
            source articles, an input file would be overwritten, or a file that lbkd did not write, or that
            was changed since, would be (see `replacing_files`).
    """
    if every < 2:
        raise ConfigError(f"Every how many articles is one for testing? At least 2, not {every}.")
    corpus = ParallelCorpus.read(paths, source, native=native)
    originals = {name: data for name, data in corpus.datasets.items() if name in (source, *native)}
    home = {q.id: data.articles[q.passage] for data in originals.values() for q in data.questions}
    files, articles = [], []
    for language, dataset in corpus.datasets.items():
        homes = {n: n for n in range(len(dataset.titles))} if language in originals else _homes(dataset, home)
        questions = Counter(dataset.articles[question.passage] for question in dataset.questions)
        for name in ("train", "test"):
            rows = [n for n in sorted(homes) if (homes[n] % every == every - 1) == (name == "test")]
            path = outdir / f"{name}.{language}.json"
            file = SplitFile(language, name, path, len(rows), sum(questions[n] for n in rows))
            if not file.questions:
                message = f"{dataset.path}: with every {every}th article for testing, no question is left to"
                raise DataError(f"{message} {name}; choose another number, or leave out {language!r}.")
            files.append(file)
            articles.append(rows)
    inputs = {path.resolve() for path in paths.values()}
    if taken := [str(file.path) for file in files if file.path.resolve() in inputs]:
        raise DataError(f"{', '.join(taken)} would be overwritten by a part of it; choose another folder.")
    with replacing_files([file.path for file in files], overwrite) as fresh:
        for file, rows in zip(files, articles, strict=True):
            document, _ = load(paths[file.language])
            document["data"] = [document["data"][n] for n in rows]
            squad.write(fresh[file.path], document)
    return tuple(files)


def _homes(dataset: Dataset, home: Mapping[str, int]) -> dict[int, int]:
    """Article of the dataset to article of the source, for all articles with questions.

    Args:
        dataset: a dataset in another language.
        home: question id to article of the source, or of a native language.
    """
    first: dict[int, str] = {}
    for question in dataset.questions:
        article = dataset.articles[question.passage]
        if question.id in home and home[first.setdefault(article, question.id)] != home[question.id]:
            message = f"{dataset.path}: data[{article}] mixes two of the source's articles:"
            for id in (first[article], question.id):
                message += f"\n  the question {shown(id)} is in its data[{home[id]}]"
            raise DataError(f"{message}\nMove each question to the article where the source has it.")
    for question in dataset.questions:
        if (article := dataset.articles[question.passage]) not in first:
            message = f"{dataset.path}: data[{article}] shares no question id with the source,"
            raise DataError(f"{message} so its part is unknown. Remove it, or add it to the source.")
    return {article: home[id] for article, id in first.items()}
