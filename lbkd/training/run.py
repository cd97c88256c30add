"""A training run as it was asked for: its components, made and checked, and what its weights depend on."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lbkd import criterions, tasks
from lbkd import weighting as weightings
from lbkd.criterions import Criterion
from lbkd.distributed.device import compute_dtype
from lbkd.errors import ConfigError
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.features.dataset import LanguagePair
from lbkd.project import Project
from lbkd.tasks import Masking, Task, Teacher
from lbkd.training.masking import masking_ingredients, masking_of, without_place
from lbkd.training.selection import selection_set
from lbkd.weighting import Weighting
from lbkd.workspace import differences, file_hash, folder_hash, read_json

_INDIFFERENT = {"log_every", "micro_batch_size", "checkpoint_minutes"}
"""Training settings that change no result."""


@dataclass(frozen=True)
class Run:
    """Made by `Run.of`; nothing is computed before it is trained."""

    project: Project
    task_name: str
    options: Mapping[str, Any]
    """Of the task."""
    task: Task
    pairs: list[LanguagePair]
    """(passage language, question language) of what is learnt from."""
    criterion_name: str
    criterion_options: Mapping[str, Any]
    criterion: Criterion
    weighting_name: str | None
    """None where there are no teachers."""
    weighting: Weighting | None
    masking: Masking | None
    """What is masked beside, if anything is."""
    selection: EvaluationSet | None
    """What the best epoch is chosen by, if it is."""

    @classmethod
    def of(
        cls,
        project: Project,
        task: str,
        options: Mapping[str, Any] | None = None,
        criterion: str | None = None,
        weighting: str = "impurity",
        criterion_options: Mapping[str, Any] | None = None,
    ) -> "Run":
        """Make and check all components.

        Args:
            project: texts and encoder.
            task: name of the task.
            options: of the task, instead of those in the settings.
            criterion: name of the criterion; by default the task's.
            weighting: name of the weighting, for tasks with teachers.
            criterion_options: of the criterion, instead of those in the settings.

        Raises:
            ConfigError: components or options that do not fit.
        """
        settings = project.settings
        options = settings.task if options is None else options
        chosen = tasks.registry.create(task, options)
        name = criterion or chosen.criterion
        how = settings.criterion if criterion_options is None else criterion_options
        loss = criterions.registry.create(name, how)
        taught = chosen.teachers(settings.corpus.languages)
        if loss.needs_teachers and not taught:
            raise ConfigError(
                f"criterion {name!r} needs teachers, and task {task!r} has none; use task 'distill'."
            )
        strategy = weightings.registry.create(weighting, settings.weighting) if taught else None
        if strategy is not None:
            strategy.check([who.name for who in taught])
        split = settings.training.select_on
        return cls(
            project,
            task,
            options,
            chosen,
            list(chosen.pairs(settings.corpus.languages, settings.corpus.source)),
            name,
            how,
            loss,
            weighting if taught else None,
            strategy,
            masking_of(settings, task, chosen, name),
            selection_set(project, split) if split else None,
        )

    @property
    def folder(self) -> Path:
        """Where it lies; criterion and weighting are in its name if it has teachers."""
        taught = [self.criterion_name, self.weighting_name] if self.teachers else []
        return self.project.run_folder(self.task_name, *taught, self.task.label)

    @cached_property
    def teachers(self) -> list[Teacher]:
        """Whose logits are learnt from."""
        return list(self.task.teachers(self.project.settings.corpus.languages))

    def teacher_runs(self) -> dict[str, "Run"]:
        """Teacher's name -> its run; teachers learn with plain criterions, whatever the student's options."""
        return {who.name: teacher_run(self.project, who) for who in self.teachers}

    @property
    def asked(self) -> dict[str, Any]:
        """All by which two runs of one project may differ."""
        return {
            "task": [tasks.registry.origin(self.task_name), self.task_name]
            + [without_place(self.masking, self.options)],
            "criterion": [criterions.registry.origin(self.criterion_name), self.criterion_name]
            + [dict(self.criterion_options)],
            "weighting": self.weighting_name
            and [weightings.registry.origin(self.weighting_name), self.weighting_name]
            + [self.project.settings.weighting],
            "seed": self.project.settings.seed,
        }

    def provenance(self) -> dict[str, Any]:
        """What the weights depend on; its teachers must be trained."""
        settings, encoder = self.project.settings, Path(self.project.encoder)
        training = settings.training.model_dump(mode="json", exclude=_INDIFFERENT)
        deepspeed, evaluation_set = settings.runtime.deepspeed, self.selection
        chosen = (
            [
                evaluation_set.corpus.fingerprint(),
                evaluation_set.metric,
                settings.evaluation.max_answer_tokens,
            ]
            if evaluation_set
            else None
        )
        return {
            **self.asked,
            "selection": chosen,
            **{f"teacher {name}": file_hash(run.weights) for name, run in self.teacher_runs().items()},
            **masking_ingredients(self.masking),
            "corpus": self.project.train_corpus.fingerprint(),
            "encoder": folder_hash(encoder) if encoder.is_dir() else self.project.encoder,
            "tokenizer": self.project.tokenizer_hash,
            **{f"training.{name}": value for name, value in training.items()},
            **{f"model.{name}": value for name, value in settings.model.model_dump(mode="json").items()},
            "precision": str(compute_dtype(settings.runtime.precision)),
            "deepspeed": file_hash(deepspeed) if deepspeed else None,
        }

    def changed(self, provenance: dict[str, Any]) -> str | None:
        """Which of the provenance differ from those of what lies in the folder; None where nothing does."""
        found = read_json(self.folder / "run.json")
        return None if found is None else differences(found["provenance"], provenance)

    def done(self) -> bool:
        """Whether it, and its teachers before it, were trained and are still valid."""
        return (
            all(run.done() for run in self.teacher_runs().values())
            and (self.folder / "run.json").exists()
            and self.changed(self.provenance()) == ""
        )

    @property
    def weights(self) -> Path:
        """The file of the trained weights."""
        return self.folder / "model" / "model.safetensors"


def teacher_run(project: Project, who: Teacher) -> Run:
    """The run of a student's teacher."""
    return Run.of(project.seeded(who.seed), who.task, who.options, criterion_options={})
