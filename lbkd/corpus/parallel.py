"""Questions in several languages: one SQuAD-format file a language, aligned by question id.

The questions of the source language and of *native* languages are their own. All other files are translations
of one of these, and have the ids of what they translate.
"""

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lbkd import workspace
from lbkd.corpus import squad
from lbkd.corpus.check import shown
from lbkd.corpus.packed import Packed, read_packed
from lbkd.corpus.squad import Dataset
from lbkd.errors import DataError


@dataclass(frozen=True)
class ParallelCorpus:
    """One SQuAD-format file per language, aligned by question id."""

    datasets: Mapping[str, Dataset]
    """Language to its dataset, in the order in which the languages were named."""
    source: str
    """The language that the dataset was written in."""
    question_ids: tuple[str, ...]
    """Q ids: those of the source in its order, then further ids of other languages in order of appearance."""

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of `datasets`, in order."""
        return tuple(self.datasets)

    @cached_property
    def rows(self) -> Mapping[str, npt.NDArray[np.int32]]:
        """Language to (Q,): row of each question id in the dataset's questions, -1 for a missing id."""
        columns = {question_id: column for column, question_id in enumerate(self.question_ids)}
        found: dict[str, npt.NDArray[np.int32]] = {}
        for name, ids in _distinct(self.datasets).items():
            found[name] = np.full(len(columns), -1, dtype=np.int32)
            found[name][[columns[id] for id in ids]] = np.arange(len(ids), dtype=np.int32)
        return {language: found[_name(dataset)] for language, dataset in self.datasets.items()}

    @classmethod
    def read(
        cls,
        paths: Mapping[str, Path],
        source: str,
        limit: int | None = None,
        folder: Path | None = None,
        native: Sequence[str] = (),
    ) -> "ParallelCorpus":
        """Read one SQuAD-format file a language.

        Args:
            paths: language to its file.
            source: the language that the dataset was written in.
            limit: keep only the questions on the first `limit` passages of the source and of each native
                language, their translations in every language, and the passages of these questions.
            folder: keep the texts on disk, in packed files in this folder; None: in memory.
            native: languages whose questions are their own; names without a file are passed over.

        Raises:
            DataError: a file is missing or faulty, a native language shares question ids with another or with
                the source, or one that is not native shares none with any of these.
        """
        asked = f"Languages asked for: {', '.join(paths)}."
        if source not in paths:
            raise DataError(f"There is no file for the source language {source!r}. {asked}")
        if missing := [f"  {lang}: {path}" for lang, path in paths.items() if not os.path.exists(path)]:
            head = f"{len(missing)} of {len(paths)} files do not exist. {asked}"
            raise DataError("\n".join([head, *missing, "Put them there, or leave these languages out."]))
        datasets = {
            language: squad.read(path, language) if folder is None else read_packed(path, language, folder)
            for language, path in paths.items()
        }
        originals = [source, *(language for language in paths if language in native and language != source)]
        ids = _originals(datasets, originals, limit)
        if limit is not None:
            datasets = {language: _about(dataset, ids) for language, dataset in datasets.items()}
        strangers = [language for language, dataset in datasets.items() if ids.isdisjoint(dataset.ids)]
        if strangers:
            among = "" if limit is None else f" (first {limit} passages)"
            natives = "".join(f", nor with {language}, {paths[language]}" for language in originals[1:])
            head = (
                f"No question ids shared with the source {source}, {paths[source]}{natives}{among}. {asked}"
            )
            lines = [f"  {language}: {datasets[language].path}" for language in strangers]
            remedy = (
                "A translation keeps the ids of its source: name files that belong together. Languages whose "
                "questions are their own are named in corpus.native: --set corpus.native="
                f"{','.join(dict.fromkeys((*native, *strangers)))} (--native of `lbkd data split`)."
            )
            raise DataError("\n".join([head, *lines, remedy]))
        ordered = _distinct({source: datasets[source], **datasets}).values()
        question_ids = dict.fromkeys(id for ids in ordered for id in ids)
        return cls(datasets, source, tuple(question_ids))

    def only(self, languages: Sequence[str]) -> "ParallelCorpus":
        """The corpus in some of its languages, in the order given."""
        datasets = {language: self.datasets[language] for language in languages}
        there = {id for dataset in datasets.values() for id in dataset.ids}
        ids = tuple(id for id in self.question_ids if id in there)
        return replace(self, datasets=datasets, question_ids=ids)

    def about(self, ids: Set[str]) -> "ParallelCorpus":
        """The corpus reduced to the questions with given ids and to their passages."""
        datasets = {language: _about(dataset, ids) for language, dataset in self.datasets.items()}
        kept = tuple(id for id in self.question_ids if id in ids)
        return replace(self, datasets=datasets, question_ids=kept)

    def fingerprint(self) -> str:
        """Fingerprint of the languages, in order, and of all passages, questions, ids and answers."""
        content = {language: dataset.content for language, dataset in self.datasets.items()}
        return workspace.fingerprint([self.source, list(content.items())])


@dataclass(frozen=True)
class LackingIds:
    """Question ids of one file that another file with translations of its questions lacks."""

    path: Path
    """The file that lacks them."""
    other: Path
    """The file that has them."""
    of: int
    """Number of questions in `other`."""
    ids: tuple[str, ...]
    """In the order of `other`."""


def lacking_ids(datasets: Sequence[Dataset]) -> list[LackingIds]:
    """The ids that files with the same questions lack; files belong together if they share an id.

    The file with most questions stands for those that belong together: the others are held against it, and
    it against each of them.
    """
    found: list[LackingIds] = []
    groups: list[Dataset] = []
    for data in sorted(datasets, key=lambda each: -len(each.questions)):
        ids = set(data.ids)
        largest = next((other for other in groups if not ids.isdisjoint(other.ids)), None)
        if largest is None:
            groups.append(data)
            continue
        for one, other in ((data, largest), (largest, data)):
            own = set(one.ids)
            if missing := tuple(id for id in other.ids if id not in own):
                found.append(LackingIds(one.path, other.path, len(other.questions), missing))
    return found


def _originals(datasets: Mapping[str, Dataset], originals: Sequence[str], limit: int | None) -> set[str]:
    """Ids of the questions on the first `limit` passages of languages whose questions are their own.

    Raises:
        DataError: two of the languages share an id.
    """
    first: dict[str, str] = {}
    found: set[str] = set()
    for language in originals:
        data = datasets[language]
        if shared := [id for id in data.ids if id in first]:
            other = first[shared[0]]
            raise DataError(
                f"corpus.native names {language}, but {len(shared)} of the {len(data.ids)} question ids of "
                f"{data.path}, such as {shown(shared[0])}, are also ids of {other}, {datasets[other].path}. "
                "Take a translation out of corpus.native; give questions that only have the same ids others."
            )
        first.update(dict.fromkeys(data.ids, language))
        asked = zip(data.ids, data.columns[0].tolist(), strict=True)
        found.update(id for id, passage in asked if limit is None or passage < limit)
    return found


def _distinct(datasets: Mapping[str, Dataset]) -> dict[str, Sequence[str]]:
    """The different lists of question ids, each under its name."""
    return {_name(dataset): dataset.ids for dataset in datasets.values()}


def _name(dataset: Dataset) -> str:
    """A name of the list of question ids: packed datasets with equal lists share one name."""
    return dataset.questions.ids.fingerprint if isinstance(dataset, Packed) else str(id(dataset))


def _about(dataset: Dataset, ids: Set[str]) -> Dataset:
    """A dataset reduced to the questions with given ids and to their passages, which are renumbered."""
    questions = [item for item in dataset.questions if item.id in ids]
    kept = sorted({item.passage for item in questions})
    rows = {old: new for new, old in enumerate(kept)}
    return Dataset(
        dataset.path,
        dataset.language,
        passages=tuple(dataset.passages[old] for old in kept),
        articles=tuple(dataset.articles[old] for old in kept),
        titles=dataset.titles,
        questions=tuple(replace(item, passage=rows[item.passage]) for item in questions),
    )
