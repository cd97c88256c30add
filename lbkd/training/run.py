"""A training run before it starts: its components, made and checked, and what its weights depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lbkd import criterions, tasks
from lbkd import weighting as weightings
from lbkd.config import Settings
from lbkd.contracts.parameters import refuse_parameters
from lbkd.contracts.tasks import check_label, check_teachers_are_used, checked_pairs, checked_teachers
from lbkd.criterions import Criterion
from lbkd.distributed.device import compute_dtype
from lbkd.engine.deepspeed_file import DeepSpeedFile
from lbkd.errors import ConfigError
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.evaluation.selection import selection_set
from lbkd.features.dataset import LanguagePair
from lbkd.models.run_folder import read_run, settings_differences
from lbkd.project import Project
from lbkd.registry.naming import changed_options
from lbkd.tasks import Masking, Task, Teacher
from lbkd.training.masking import masking_of, masking_provenance, without_place
from lbkd.training.teachers import OutsideReader, Reading, TeacherModel, without_models
from lbkd.weighting import Weighting
from lbkd.workspace import differences, file_hash

_INDIFFERENT = {
    *("log_every", "micro_batch_size", "checkpoint_minutes", "gradient_checkpointing", "keep_weights"),
}
"""Training settings that change no result but for which units are dropped, as a number of ranks does."""

_TEXTS = {"dir", "files", "train", "source", "languages", "native", "limit"}
"""Settings of the corpus that say which texts a model learns from."""


@dataclass(frozen=True)
class Components:
    """Names and options of the components of a run."""

    task: str
    task_options: Mapping[str, Any] = field(default_factory=dict)
    criterion: str | None = None
    """None: the criterion that the task names."""
    criterion_options: Mapping[str, Any] = field(default_factory=dict)
    weighting: str = "impurity"
    """Not used by a task without teachers."""
    weighting_options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        task: str,
        task_options: Mapping[str, Any] | None = None,
        criterion: str | None = None,
        weighting: str | None = None,
    ) -> "Components":
        """Components by the settings' names and options; arguments win over the settings.

        Raises:
            ConfigError: no such task, or options that it does not take.
        """
        task_options = {**settings.task.options(task), **(task_options or {})}
        criterion = criterion or settings.criterion.name
        criterion = criterion or tasks.registry.create(task, task_options).criterion
        weighting = weighting or settings.weighting.name
        return cls(
            task,
            task_options,
            criterion,
            settings.criterion.options(criterion),
            weighting,
            settings.weighting.options(weighting),
        )


@dataclass(frozen=True)
class Run:
    """One model to be trained, made by `Run.of`; nothing is computed before `steps.train_run`."""

    project: Project
    components: Components
    """With the name of the criterion filled in."""
    task: Task
    pairs: list[LanguagePair]
    """(passage language, question language) of the questions that the model learns from."""
    teachers: list[Teacher]
    """Teachers whose logits the model learns from; see `sources`."""
    criterion: Criterion
    weighting: Weighting | None
    """None for a task without teachers."""
    masking: Masking | None
    """What is masked beside the pairs that are learnt from, for tasks that mask."""
    selection: EvaluationSet | None
    """Questions by which the best epoch is chosen; None: the last epoch is kept."""
    given_name: str | None = None
    """Name of the run's folder where the user gave one."""

    @classmethod
    def of(cls, project: Project, components: Components, name: str | None = None) -> "Run":
        """Make and check all components.

        Raises:
            ConfigError: components or options that do not fit.
        """
        settings, given = project.settings, components
        task = tasks.registry.create(given.task, given.task_options)
        criterion_name = given.criterion or task.criterion
        criterion = criterions.registry.create(criterion_name, given.criterion_options)
        refuse_parameters(criterion, criterions.registry)
        check_label(task)
        teachers = checked_teachers(task, settings.corpus.languages)
        masking = masking_of(settings, given.task, task, criterion_name)
        check_teachers_are_used(task, teachers, criterion_name)
        weighting = None
        if teachers:
            weighting = weightings.registry.create(given.weighting, given.weighting_options)
            refuse_parameters(weighting, weightings.registry)
            with weightings.registry.told(weighting, "`check`"):
                weighting.check([teacher.name for teacher in teachers])
        split = settings.training.select_on
        return cls(
            project=project,
            components=Components(**{**vars(given), "criterion": criterion_name}),
            task=task,
            pairs=checked_pairs(task, settings.corpus.languages, settings.corpus.source),
            teachers=teachers,
            criterion=criterion,
            weighting=weighting,
            masking=masking,
            selection=selection_set(project, split) if split else None,
            given_name=name,
        )

    @property
    def folder(self) -> Path:
        """The run folder; a name that nobody gave tells components and options that are not the default ones.

        A run without teachers has neither criterion nor weighting in its name, but their options.
        """
        given = self.components
        if self.given_name is not None:
            return self.project.settings.workspace / "runs" / self.given_name
        criterion = [given.criterion] if self.teachers else []
        criterion += changed_options(criterions.registry, str(given.criterion), given.criterion_options)
        weighting: list[str | None] = []
        if self.teachers:
            options = changed_options(weightings.registry, given.weighting, given.weighting_options)
            weighting = [given.weighting, *options]
        task = self.task.label or ".".join(
            changed_options(tasks.registry, given.task, without_place(self.masking, given.task_options))
        )
        return self.project.run_folder(given.task, *criterion, *weighting, task)

    @property
    def name(self) -> str:
        """The folder's name, by which messages call the run."""
        return self.folder.name

    @property
    def weights(self) -> Path:
        """The file of the trained weights."""
        return self.folder / "model" / "model.safetensors"

    @property
    def there(self) -> bool:
        """True if it was trained."""
        return self.weights.exists()

    def teacher_runs(self) -> dict[str, "Run"]:
        """Name -> run of each teacher that is trained; it learns with a plain criterion."""
        trained = [teacher for teacher in self.teachers if teacher.model is None]
        return {teacher.name: teacher_run(self.project, teacher) for teacher in trained}

    @cached_property
    def readers(self) -> dict[str, OutsideReader]:
        """Name -> reader of each teacher that is finished, and not trained."""
        finished = [teacher for teacher in self.teachers if teacher.model is not None]
        return {teacher.name: OutsideReader(self.project, teacher) for teacher in finished}

    def sources(self) -> "dict[str, Run | OutsideReader]":
        """Name -> run or reader of each teacher, in the order of the teachers."""
        found: dict[str, Run | OutsideReader] = {**self.teacher_runs(), **self.readers}
        return {teacher.name: found[teacher.name] for teacher in self.teachers}

    def as_teacher(self) -> TeacherModel:
        """The trained model as one that scores a student's windows; every rank calls this.

        It reads the windows as they are if it was trained with the tokenizer of the project's encoder.
        """
        project, folder, found = self.project, str(self.folder / "model"), read_run(self.folder)
        assert found is not None  # it was trained
        alike = found.provenance["tokenizer"] == project.tokenizer_hash
        alike = alike and found.settings.model.max_length >= project.settings.model.max_length
        reading = None if alike else Reading.of(project, folder)
        encoder = project.encoder if alike else None
        return TeacherModel(project, self.name, folder, file_hash(self.weights), reading, encoder)

    @property
    def requested(self) -> dict[str, Any]:
        """Provenance of components, seed and finished teachers: all by which runs of a project may differ."""
        given, weighting = self.components, None
        task_options = without_models(without_place(self.masking, given.task_options), self.teachers)
        if self.teachers:
            weighting = weightings.registry.provenance(given.weighting, given.weighting_options)
        return {
            "task": tasks.registry.provenance(given.task, task_options),
            "criterion": criterions.registry.provenance(str(given.criterion), given.criterion_options),
            "weighting": weighting,
            "seed": self.project.settings.seed,
            **{f"teacher {name}": reader.content for name, reader in self.readers.items()},
        }

    def settings_provenance(self) -> dict[str, Any]:
        """All that the settings decide of the weights, by name."""
        settings = self.project.settings
        training = settings.training.model_dump(mode="json", exclude=_INDIFFERENT)
        model = settings.model.model_dump(mode="json", exclude={"trust_remote_code"})
        model["name"] = self.project.encoder_content
        deepspeed, chosen_by = settings.runtime.deepspeed, self.selection
        selection = None
        if chosen_by is not None:
            answer_tokens = settings.evaluation.max_answer_tokens
            selection = [chosen_by.corpus.fingerprint(), chosen_by.metric, answer_tokens]
        return {
            **self.requested,
            "selection": selection,
            **{f"training.{name}": value for name, value in training.items()},
            **{f"model.{name}": value for name, value in model.items()},
            "precision": str(compute_dtype(settings.runtime.precision)),
            "deepspeed": DeepSpeedFile.read(deepspeed).taken if deepspeed else None,
        }

    def provenance(self) -> dict[str, Any]:
        """All that the weights depend on, by name; the run's teachers must be trained."""
        return {
            **self.settings_provenance(),
            **{f"teacher {name}": file_hash(run.weights) for name, run in self.teacher_runs().items()},
            **masking_provenance(self.masking),
            "model.commit": self.project.commit,
            "tokenizer": self.project.tokenizer_hash,  # rank 0 packs the corpus for the others on the way
            "corpus": self.project.train_corpus.fingerprint(),
        }

    def changed(self, provenance: dict[str, Any]) -> str | None:
        """Names of what differs from the provenance in the run folder; None without a finished run.

        A checkpoint's model is no finished run.

        Raises:
            DataError: see `read_run`.
        """
        found = read_run(self.folder)
        return None if found is None or found.step else differences(found.provenance, provenance)

    def check_replaces_nothing(self) -> None:
        """Refuse to train over a finished run of other settings, unless `overwrite` is set.

        A run of the same settings is stale, and may be replaced, if its components have other code since, or
        the files of its corpus other texts.

        Raises:
            ConfigError: the folder holds such a run; the settings that differ are named.
        """
        if self.project.settings.overwrite or (found := read_run(self.folder)) is None:
            return
        different = settings_differences(found, self.settings_provenance())
        if not different and found.provenance["corpus"] != self.project.train_corpus.fingerprint():
            different = differences(*map(_which_texts, (found.settings, self.project.settings)))
        if different:
            raise ConfigError(
                f"{self.folder} holds a finished run with another {different}. Train it anew with "
                "--overwrite, or keep both: train or distil under another --name, or in another --workspace."
            )

    def done(self) -> bool:
        """True if the run, and its teachers before, were trained and are still valid."""
        return (
            all(run.done() for run in self.teacher_runs().values()) and self.changed(self.provenance()) == ""
        )


def teachers_project(project: Project, teacher: Teacher) -> Project:
    """The project of a student's teacher, which has its own seed and all layers of the encoder."""
    model = project.settings.model.model_copy(update={"layers": None})
    return project.altered(model=model).seeded(teacher.seed)


def teacher_run(project: Project, teacher: Teacher) -> Run:
    """The run of a student's teacher, which learns with a plain criterion."""
    return Run.of(teachers_project(project, teacher), Components(teacher.task, teacher.options))


def _which_texts(settings: Settings) -> dict[str, Any]:
    """The values of `_TEXTS`, as messages name them."""
    kept = settings.corpus.model_dump(include=_TEXTS) | {"dir": settings.corpus.dir.absolute()}
    return {f"corpus.{name}": value for name, value in kept.items()}
