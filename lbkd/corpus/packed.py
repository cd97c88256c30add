"""A dataset in one memory-mapped file, since the texts of a hundred languages do not fit into memory.

The file is the content of a safetensors file, with one array a column, and its sha256, which is compared
whenever the file is opened. The file's name is derived from the hash of the SQuAD-format file, so that a
second start parses no JSON.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from lbkd.corpus import squad
from lbkd.corpus.squad import Answer, Dataset, Question
from lbkd.workspace import file_hash, fingerprint, replacing_file

VERSION = 4
"""Version of the packed format, a part of the file's name."""
_ABOUT = "about"
"""Entry of the file's metadata that holds all of it, as JSON."""
T = TypeVar("T")


class _Column(Sequence[T]):
    """A sequence whose items are decoded on access."""

    @overload
    def __getitem__(self, n: int) -> T: ...
    @overload
    def __getitem__(self, n: slice) -> list[T]: ...
    def __getitem__(self, n: int | slice) -> T | list[T]:
        if isinstance(n, slice):
            return [self._item(at) for at in range(*n.indices(len(self)))]
        return self._item(range(len(self))[n])

    def _item(self, n: int) -> T:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Texts(_Column[str]):
    """N concatenated texts in UTF-8."""

    data: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]
    """(N,) end of each text in `data`, in bytes."""
    fingerprint: str
    """`workspace.fingerprint` of the list of the texts."""

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[str]:
        data = self.data.tobytes()
        for begin, end in pairwise([0, *self.ends.tolist()]):
            yield data[begin:end].decode()

    def _item(self, n: int) -> str:
        return self.data[self.ends[n - 1] if n else 0 : self.ends[n]].tobytes().decode()


@dataclass(frozen=True, eq=False)
class Questions(_Column[Question]):
    """Q questions with A answers in total."""

    ids: Texts
    texts: Texts
    answers: Texts
    columns: npt.NDArray[np.int32]
    """(3, Q), see `Dataset.columns`."""
    starts: npt.NDArray[np.int32]
    """(A,) first character of each answer in its passage."""
    until: npt.NDArray[np.int32]
    """(Q,) number of answers of question 0 to question q inclusive."""

    def __len__(self) -> int:
        return len(self.until)

    def _item(self, n: int) -> Question:
        mine = range(self.until[n - 1] if n else 0, self.until[n])
        answers = tuple(Answer(self.answers[a], int(self.starts[a])) for a in mine)
        return Question(self.ids[n], self.texts[n], int(self.columns[0, n]), answers)


@dataclass(frozen=True)
class Packed(Dataset):
    """A dataset on disk."""

    questions: Questions
    fingerprint: str
    """The dataset's `content`, stored since computing it takes long."""

    @property
    def ids(self) -> Sequence[str]:
        return self.questions.ids

    @property
    def question_texts(self) -> Sequence[str]:
        return self.questions.texts

    @property
    def columns(self) -> npt.NDArray[np.int32]:
        return self.questions.columns

    @property
    def content(self) -> str:
        return self.fingerprint


def packed_place(path: Path, folder: Path) -> Path:
    """The packed file under `folder` that belongs to a SQuAD-format file."""
    return folder / f"{file_hash(path)[:16]}.{VERSION}.packed"


def read_packed(path: Path, language: str, folder: Path) -> Dataset:
    """The dataset of a SQuAD-format file, packed under `folder` at the first call or after damage.

    Raises:
        DataError: the SQuAD-format file is faulty, see `squad.read`.
    """
    place = packed_place(path, folder)
    try:
        arrays, about = _mapped(place)
    except (FileNotFoundError, _DamagedError):
        _write(place, squad.read(path, language))
        arrays, about = _mapped(place)

    def texts(name: str) -> Texts:
        return Texts(arrays[name], arrays[f"{name} ends"], about[name])

    return Packed(
        path,
        language,
        passages=texts("passages"),
        articles=arrays["articles"].tolist(),
        titles=tuple(texts("titles")),
        questions=Questions(
            ids=texts("ids"),
            texts=texts("texts"),
            answers=texts("answers"),
            columns=arrays["columns"],
            starts=arrays["starts"],
            until=arrays["until"],
        ),
        fingerprint=about["content"],
    )


def _write(place: Path, dataset: Dataset) -> None:
    questions = dataset.questions
    answers = [answer for question in questions for answer in question.answers]
    lists = {
        "passages": dataset.passages,
        "titles": dataset.titles,
        "ids": dataset.ids,
        "texts": dataset.question_texts,
        "answers": [answer.text for answer in answers],
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "articles": np.array(dataset.articles, dtype=np.int32),
        "columns": dataset.columns,
        "starts": np.array([answer.start for answer in answers], dtype=np.int32),
        "until": np.cumsum([len(question.answers) for question in questions], dtype=np.int32),
    }
    for name, texts in lists.items():
        encoded = [text.encode() for text in texts]
        arrays[name] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        arrays[f"{name} ends"] = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    about = {name: fingerprint(list(texts)) for name, texts in lists.items()}
    write_columns(place, arrays, {**about, "content": dataset.content})


def write_columns(place: Path, arrays: Mapping[str, npt.NDArray[Any]], about: Mapping[str, str]) -> None:
    """Write arrays and metadata to a packed file, with their sha256 at the end."""
    with replacing_file(place) as beside:
        # One entry: several would come in another order in each process.
        save_file(dict(arrays), beside, {_ABOUT: json.dumps(dict(about), sort_keys=True)})
        digest = bytes.fromhex(file_hash(beside))
        with beside.open("ab") as file:
            file.write(digest)


class _DamagedError(Exception):
    """The sha256 of a packed file is wrong."""


def _mapped(place: Path) -> tuple[Mapping[str, npt.NDArray[Any]], dict[str, str]]:
    """Memory-mapped arrays and metadata of a packed file; safetensors' reader would copy the arrays.

    Raises:
        FileNotFoundError: there is no file.
        _DamagedError: the file is truncated or damaged.
    """
    if not _is_sound(place):
        raise _DamagedError(place)
    file = np.memmap(place, np.uint8, "r")
    begin = 8 + int.from_bytes(file[:8].tobytes(), "little")
    header = json.loads(file[8:begin].tobytes())
    about = json.loads(header.pop("__metadata__")[_ABOUT])
    kinds = {"U8": np.uint8, "I32": np.int32, "I64": np.int64}
    arrays = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        arrays[name] = file[begin + first : begin + end].view(kinds[entry["dtype"]]).reshape(entry["shape"])
    return arrays, about


def _is_sound(place: Path) -> bool:
    """Whether the last bytes of a file are the sha256 of all bytes before."""
    hasher = hashlib.sha256()
    with place.open("rb") as file:
        left = place.stat().st_size - hasher.digest_size
        while left > 0 and (piece := file.read(min(left, 2**20))):
            hasher.update(piece)
            left -= len(piece)
        return left == 0 and file.read() == hasher.digest()
