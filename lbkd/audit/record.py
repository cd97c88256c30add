"""The record of a run's teachers, window by window: `audit.npz` and `audit.json` in the run's folder.

audit.npz has the arrays of `Audit` under their names; `numpy.load` reads it. audit.json names teachers and
languages, and has a checksum of its own and of the arrays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lbkd.errors import DataError
from lbkd.features.tokens import Ints
from lbkd.workspace import described, fingerprint, read_sealed, replacing_file, write_sealed

VERSION = 1
_TABLE, _ABOUT = "audit.npz", "audit.json"

Halves = npt.NDArray[np.float16]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Audit:
    """N windows in ascending order of feature id, K teachers.

    Characters count from the beginning of the passage; a span is its first one and one past its last one.
    """

    teachers: tuple[str, ...]
    """(K,) names, see `lbkd.tasks.Teacher`."""
    languages: tuple[str, ...]
    """Of the corpus, by number."""
    longest: int
    """Tokens of the longest answer."""
    feature: Ints
    """(N,) feature ids, see `lbkd.features.addresses.Addressing`."""
    question: Ints
    """(N,) number of the question in the corpus's question ids."""
    passage_language: Ints
    """(N,) number of the passage's language."""
    question_language: Ints
    """(N,) number of the question's language."""
    read: Ints
    """(N, 2) characters of the passage that the window holds."""
    gold: Ints
    """(N, 2) characters of the labelled answer; -1 and -1 in a window without the answer."""
    weights: Halves
    """(N, 2, K) the teachers' weights for start and for end logits."""
    entropy: Halves
    """(N, 2, K) entropy of each teacher's start and end distribution, in nats."""
    hit: Flags
    """(N, 2, K) whether the teacher's likeliest start, and its likeliest end, is the label."""
    answer: Ints
    """(N, K, 2) characters of each teacher's best span; -1 and -1 where "no answer" is likelier."""
    probability: Halves
    """(N, K) of that answer, among all spans of the window and "no answer"."""
    right: Flags
    """(N, K) whether that answer is the labelled one."""

    @property
    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def of_language(self, number: int) -> "Audit":
        """The windows whose passages are in a language."""
        mine = self.passage_language == number
        columns = {name: value[mine] for name, value in self.columns.items()}
        return Audit(self.teachers, self.languages, self.longest, **columns)

    @classmethod
    def joined(
        cls,
        teachers: Sequence[str],
        languages: Sequence[str],
        longest: int,
        parts: Sequence[Mapping[str, Any]],
    ) -> "Audit":
        """The record of parts that hold the columns of some windows each, in any order."""
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.argsort(columns["feature"])
        ordered = {name: column[order] for name, column in columns.items()}
        return cls(tuple(teachers), tuple(languages), longest, **ordered)

    def write(self, folder: Path, provenance: Mapping[str, Any]) -> None:
        """Keep the record in a run's folder.

        Args:
            folder: of the run.
            provenance: all that the run's weights depend on, by name.
        """
        (folder / _ABOUT).unlink(missing_ok=True)
        with replacing_file(folder / _TABLE) as beside, beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **self.columns)
        about = {
            "format version": VERSION,
            "run": fingerprint(provenance),
            "teachers": self.teachers,
            "languages": self.languages,
            "longest": self.longest,
            "file": described(folder / _TABLE),
        }
        write_sealed(folder / _ABOUT, about)


def read_audit(folder: Path, provenance: Mapping[str, Any]) -> Audit | None:
    """The record in a run's folder; None where none was kept, or where it is of another training.

    Args:
        folder: of the run.
        provenance: that of the run which is there.

    Raises:
        DataError: a file that is missing, damaged, or of another version of lbkd.
    """
    if not (folder / _ABOUT).exists():
        return None
    about = read_sealed(folder / _ABOUT)
    remedy = f"Remove {folder / _ABOUT}; {REMEDY}"
    if about is None or about["format version"] != VERSION:
        raise DataError(
            f"{folder / _ABOUT}: damaged, changed by hand, or of another version of lbkd. {remedy}"
        )
    if about["run"] != fingerprint(provenance):
        return None
    if described(folder / _TABLE) != about["file"]:
        raise DataError(f"{folder / _TABLE}: missing, damaged, or changed by hand. {remedy}")
    with np.load(folder / _TABLE, allow_pickle=False) as columns:
        return Audit(tuple(about["teachers"]), tuple(about["languages"]), about["longest"], **columns)


REMEDY = "the run's command with --set training.keep_weights=true keeps weights, and trains nothing anew."
"""How a finished run gets a record."""
