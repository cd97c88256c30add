"""Teachers as a student meets them: finished models that score its windows, trained here or from outside."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.errors import ConfigError, DataError, LbkdError
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Template, tokenizer_hash
from lbkd.features.windows import window_settings
from lbkd.models import e5_small
from lbkd.models.calibration import content_of
from lbkd.models.load import (
    commit_of,
    has_span_head,
    language_numbers,
    load_config,
    load_span_model,
    load_tokenizer,
    longest_input,
)
from lbkd.models.run_folder import Model, trained
from lbkd.models.trimming.restore import cut_again
from lbkd.project import Project
from lbkd.tasks import Teacher
from lbkd.teachers.carrying import Carrying
from lbkd.teachers.hidden import HiddenTeacher, HiddenTeachers, same_tokens
from lbkd.workspace import MANIFEST, damaged

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lbkd.corpus.parallel import ParallelCorpus


class Reading(NamedTuple):
    """How a teacher reads texts, where it does not read the student's tokens."""

    tokenizer: str
    """Hash of the tokenizer."""
    longest: int
    """Most tokens that the teacher reads at once, special tokens included."""

    @classmethod
    def of(cls, project: Project, model: str) -> "Reading | None":
        """How a model reads texts; None for one that reads the windows of the project's encoder."""
        trust = project.settings.model.trust_remote_code
        tokenizer, config = load_tokenizer(model, trust), load_config(model, trust)
        numbers = language_numbers(config, tokenizer)
        reading = cls(tokenizer_hash(tokenizer, numbers), longest_input(config, tokenizer))
        template = Template.of(tokenizer, numbers)
        same = (reading.tokenizer, template) == (project.tokenizer_hash, project.train_features.template)
        return None if same and reading.longest >= project.settings.model.max_length else reading


@dataclass(frozen=True)
class TeacherModel:
    """A finished model that scores a student's windows."""

    project: Project
    name: str
    """Name of the folder of its logits."""
    folder: str
    """Model folder, or hub id with its commit."""
    content: str
    """Fingerprint of all that it computes with."""
    reading: Reading | None
    """None: it reads the student's tokens."""
    encoder: str | None = None
    """Prepared encoder whose cut vocabulary the student reads, and it was trained with; see `cut_again`."""

    def network(self) -> "PreTrainedModel":
        """The model, on the host."""
        model = load_span_model(self.folder, self.project.settings.model.trust_remote_code)
        if self.encoder is not None:
            cut_again(model, self.encoder)
        return model

    def windows(self) -> FeatureSet | Carrying:
        """The windows of the training texts, and how it reads them; every rank calls this."""
        student = self.project.train_features
        if self.reading is None:
            return student
        rule = window_settings(self.project.settings.model)
        own = self.project.test_features(student.corpus, self.folder, rule)
        return Carrying(student, own, self.reading.longest)

    def same_windows(self) -> FeatureSet | None:
        """The student's windows by the teacher's token ids; None if those are the student's.

        Every rank calls this. A vocabulary that was trimmed for one of them has the same tokens by other ids.

        Raises:
            ConfigError: the teacher reads other tokens than the student, or shorter windows.
        """
        windows, wanted = self.windows(), self.project.settings.model.max_length
        if isinstance(windows, FeatureSet):
            return None
        if windows.longest < wanted:
            raise ConfigError(
                f"teacher {self.name!r} reads at most {windows.longest} tokens, and windows have up to "
                f"{wanted}; hidden states need the whole window. Set model.max_length={windows.longest}."
            )
        if not same_tokens(windows.student, windows.own):
            raise ConfigError(
                f"teacher {self.name!r} reads other tokens than the student, and hidden states are compared "
                "token by token: they cannot be carried over as logits are. Take teachers with the student's "
                "tokenizer (its vocabulary may be trimmed), or learn from logits: criterion.combined.kd=kd, "
                "jsd, reverse-kl or logit-mse."
            )
        return windows.own


@dataclass(frozen=True)
class OutsideReader:
    """A finished reader that teaches and is not trained: a folder, or a model of a hub.

    Errors name the teacher, and are ConfigErrors or DataErrors.
    """

    project: Project
    """Of the student."""
    teacher: Teacher
    """With a `model`."""

    @property
    def name(self) -> str:
        """Name of the folders of its logits and answers, by which messages and rows call it."""
        return self.teacher.label

    @property
    def answers(self) -> Path:
        """Folder of its answers and scores."""
        return self.project.settings.workspace / "readers" / self.name

    @cached_property
    def place(self) -> str:
        """Folder of a run or of a model, or hub id with its commit."""
        given = str(self.teacher.model)
        for folder in (Path(given), self.project.settings.workspace / "runs" / given):
            if folder.is_dir():
                return str(folder)
        name, _, revision = given.partition("@")
        with self._told():
            if name == e5_small.NAME:
                raise ConfigError(_no_head(name))
            commit = commit_of(name, revision or None, self._trust)
        return f"{name}@{commit}"

    @cached_property
    def model(self) -> Model:
        """What is loaded."""
        place = self.place
        with self._told():
            return trained(place, self._trust)

    @cached_property
    def content(self) -> str:
        """Fingerprint of its files, wherever they lie; the hub id and commit of a hub's model."""
        return content_of(Path(self.place)) if Path(self.place).is_dir() else self.place

    @property
    def there(self) -> bool:
        """True if it can be found."""
        try:
            return bool(self.model)
        except LbkdError:
            return False

    def as_teacher(self) -> TeacherModel:
        """The model that scores windows."""
        folder = self.model.folder
        with self._told():
            reading = Reading.of(self.project, folder)
        return TeacherModel(self.project, self.name, folder, self.content, reading)

    def check(self) -> None:
        """Refuse a reader that cannot teach, or that cannot read the training texts; every rank calls this.

        Raises:
            ConfigError: no such model, one without a head or with weights that are missing or not finite, or
                a language that it does not know.
            DataError: files that are damaged.
        """
        _ = self.project.train_features  # which may still have to be made
        collectives.raise_on_all_ranks(self.check_files)
        teacher = self.as_teacher()
        with self._told():
            teacher.windows()

    def check_reads(self, corpus: "ParallelCorpus") -> None:
        """Refuse a reader that cannot be scored on a corpus; every rank calls this.

        Raises:
            ConfigError: a language that it does not know.
        """
        windows = window_settings(self.model.settings)
        with self._told():
            self.project.test_features(corpus, self.model.folder, windows)

    def check_files(self) -> None:
        """The part of `check` that needs no texts.

        Raises:
            ConfigError, DataError: see `check`.
        """
        place = Path(self.place)
        with self._told():
            if (place / MANIFEST).exists() and (files := damaged(place)):
                raise DataError(f"{place / files[0]} is missing or damaged; bring it back from a copy.")
        folder = self.model.folder
        with self._told():
            if not has_span_head(load_config(folder, self._trust)):
                raise ConfigError(_no_head(folder))
            if self.project.rank == 0:
                check_weights(folder, self._trust)
        _ = self.content

    @property
    def _trust(self) -> bool:
        return self.project.settings.model.trust_remote_code

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Name the teacher in errors."""
        try:
            yield
        except LbkdError as error:
            kind = DataError if isinstance(error, DataError) else ConfigError
            raise kind(f"teacher {self.teacher.name!r} ({self.teacher.model}): {error}") from error


def hidden_teachers(
    teachers: Sequence[TeacherModel], own: Sequence[FeatureSet | None]
) -> HiddenTeachers | None:
    """Teachers that run beside the student, on this rank's device; None without any.

    Args:
        teachers: K of them.
        own: of each, what `TeacherModel.same_windows` returns.
    """
    found = []
    for teacher, windows in zip(teachers, own, strict=True):
        network = teacher.network()
        torch.nn.Module.to(network, current_device())
        found.append(HiddenTeacher(network, windows))
    dtypes = [compute_dtype(teacher.project.settings.runtime.precision) for teacher in teachers]
    return HiddenTeachers(found, dtypes[0]) if found else None


def without_models(options: Mapping[str, Any], teachers: Sequence[Teacher]) -> dict[str, Any]:
    """A task's options with the bare names of finished readers: the readers' content counts."""
    names = {f"{teacher.name}={teacher.model}": teacher.name for teacher in teachers if teacher.model}
    return {
        key: [names.get(str(each), each) for each in value] if isinstance(value, list) else value
        for key, value in options.items()
    }


def check_weights(model: str, trust: bool = False) -> None:
    """Refuse a reader whose files lack weights, or hold some that are not finite.

    Raises:
        ConfigError: with the names of such weights; see `load_span_model` for those that are missing.
    """
    weights = torch.nn.Module.named_parameters(load_span_model(model, trust))
    if odd := [name for name, weight in weights if not torch.isfinite(weight).all()]:
        raise ConfigError(f"model {model!r}: the weights {', '.join(odd[:3])} are not all finite numbers.")


def _no_head(model: str) -> str:
    return (
        f"model {model!r} has no head for start and end of an answer, so that it cannot teach. Name a reader "
        "that was trained for question answering, or train one from it with `lbkd train --model`."
    )
