"""Costs of runs before anything starts: windows, tokens, FLOPs, hours and gigabytes."""

from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.selection import selection_set
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.windows import WindowRule, window_settings
from lbkd.models import e5_small
from lbkd.planning.hardware import Hardware, this_machine
from lbkd.planning.jobs import Job
from lbkd.planning.model_size import ModelSize, model_size_of
from lbkd.planning.run_workload import RunWorkload, counted_workload, expected_workload
from lbkd.planning.speed import Speed, assumed_speed, measured_speed
from lbkd.planning.workload import Size, Texts, Workload
from lbkd.project import Project
from lbkd.teachers.packing import mean_size
from lbkd.training.schedule import reads_all

_SPECIALS = 4
"""Special tokens of a pair that are assumed if there is no tokenizer."""
_COUNTED = 2**17
"""Largest run, in windows, that is counted batch by batch if its windows are drawn at random."""


@dataclass(frozen=True)
class Cost:
    """Cost of one step of the way: a training, a scoring by a teacher, or an evaluation."""

    name: str
    done: bool
    """True if the workspace holds a valid result, so that the step costs nothing."""
    pairs: int
    """(question, passage language, question language) triples of an epoch, or those that are scored."""
    windows: int
    """Windows that are read, over all epochs."""
    steps: int
    """Optimizer steps; 0 if nothing is trained."""
    tokens: int
    """Tokens that are read, over all epochs, padding excluded."""
    flops: float
    """Floating-point operations, over all epochs."""
    hours: float
    gigabytes: float
    """Size of the result on disk."""

    @classmethod
    def sum(cls, name: str, costs: "Sequence[Cost]") -> "Cost":
        """Join the costs of several steps."""
        return cls(
            name=name,
            done=all(cost.done for cost in costs),
            pairs=sum(cost.pairs for cost in costs),
            windows=sum(cost.windows for cost in costs),
            steps=sum(cost.steps for cost in costs),
            tokens=sum(cost.tokens for cost in costs),
            flops=sum(cost.flops for cost in costs),
            hours=sum(cost.hours for cost in costs),
            gigabytes=sum(cost.gigabytes for cost in costs),
        )


class Estimator:
    """Estimates the costs of runs.

    Args:
        project: texts and encoder.
        size: size to assume for texts that are not at hand.
        hardware: hardware to plan for; by default this machine, which is measured.

    Raises:
        LbkdError: the corpus is not at hand, and no size is given.
    """

    def __init__(self, project: Project, size: Size | None = None, hardware: Hardware | None = None) -> None:
        self.project = project
        self.settings = project.settings
        self.assumed_size = None if texts_at_hand(project) else size
        self._named_hardware = hardware
        if self.assumed_size is None:
            _ = project.train_features  # raises the error that tells which file is missing
        self._workloads: dict[tuple[LanguagePair, ...], RunWorkload] = {}
        self._ratios: dict[str, float] = {}

    @property
    def at_hand(self) -> bool:
        """True if the texts are there, so that nothing is assumed of their number and length."""
        return self.assumed_size is None

    def costs(self, jobs: Sequence[Job]) -> list[Cost]:
        """Costs of all jobs in their order; a teacher's scoring comes before the first job that needs it."""
        found: dict[str, Cost] = {}
        for job in jobs:
            if job.reader is not None:
                continue
            distinct = self._workload(job.pairs).distinct
            for teacher in job.teachers:
                cost = self._scoring(teacher, distinct)
                found.setdefault(cost.name, cost)
            found.setdefault(job.name, self._training(job))
        return list(found.values())

    def _training(self, job: Job) -> Cost:
        workload = self._workload(job.pairs)
        read = workload.read
        epoch = self.texts.epoch(job.pairs, self.settings.training.question_languages_per_example)
        size = self.model_size.of_layers(job.layers)
        flops = size.flops(read.tokens, read.squares)
        if job.masked_share:  # each step reads as many masked windows in addition
            frozen = self.settings.training.freeze_embeddings
            flops = 2 * flops + job.masked_share * read.tokens * size.head_flops(frozen=frozen)
            read = read * 2
        beside = sum(teacher.forward_flops(read.tokens, read.squares) for teacher in self.beside(job))
        return Cost(
            name=job.name,
            done=job.done,
            pairs=round(epoch.pairs),
            windows=round(read.windows),
            steps=workload.steps,
            tokens=round(read.tokens),
            flops=flops + beside,
            hours=(flops / self.speed.training + beside / self.speed.forward) / 3600,
            gigabytes=4e-9 * (self.saved_parameters - self.model_size.parameters + size.parameters),
        )

    def beside(self, job: Job) -> list[ModelSize]:
        """Sizes of the teachers that run beside a model while it is trained."""
        return [self._size(teacher.reader) for teacher in job.teachers] if job.hidden else []

    def _scoring(self, teacher: Job, distinct: Workload) -> Cost:
        gigabytes = 2e-9 * mean_size(distinct.windows, distinct.tokens)
        found = self._forward(f"logits of {teacher.name}", self._by(teacher, distinct), teacher.reader)
        return replace(found, done=teacher.done and teacher.scored, gigabytes=gigabytes)

    def scorings(self, jobs: Sequence[Job], scored: Sequence[Job]) -> list[Cost]:
        """Costs of selection and of evaluating the models `scored`, where the texts are at hand."""
        selection = self.selection(jobs)
        return [*([] if selection is None else [selection]), *self.evaluations(scored)]

    def evaluations(self, scored: Sequence[Job]) -> list[Cost]:
        """Costs of evaluating models on the corpus's test split; none if that is not at hand.

        Those that are trained have one cost together, each finished reader one of its own.
        """
        if not self.at_hand or not self.project.has_test:
            return []
        corpus = self.project.test_corpus
        pairs = [(language, language) for language in corpus.languages]
        read = Texts.of(self.features_of(corpus)).epoch(pairs)
        readers = [job for job in scored if job.reader is not None]
        trained = len(scored) - len(readers)
        return [
            self._forward(f"evaluation of {trained}", read * trained),
            *(self._forward(f"evaluation of {job.name}", self._by(job, read), job.reader) for job in readers),
        ]

    def _by(self, teacher: Job, read: Workload) -> Workload:
        """Windows of the encoder's tokens as the tokens of a finished reader, by the ratio of all tokens."""
        if teacher.reader is None or not self.at_hand:
            return read
        if teacher.reader not in self._ratios:
            corpus = self.project.train_corpus
            both = self.features_of(corpus, teacher.reader), self.features_of(corpus)
            theirs, ours = (sum(int(table.rows[-1]) for table in each.passages.values()) for each in both)
            self._ratios[teacher.reader] = theirs / max(1, ours)
        ratio = self._ratios[teacher.reader]
        return replace(read, tokens=read.tokens * ratio, squares=read.squares * ratio**2)

    def selection(self, jobs: Sequence[Job]) -> Cost | None:
        """Cost of scoring the split `training.select_on` after each epoch of the jobs; None without a split.

        Rank 0 scores while the others wait. None, too, if the texts are not at hand.

        Raises:
            ConfigError: see `selection_set`.
        """
        split = self.settings.training.select_on
        if split is None or not self.at_hand:
            return None
        corpus = selection_set(self.project, split).corpus
        times = sum(self._workload(job.pairs).epochs for job in jobs if not job.done)
        read = Texts.of(self.features_of(corpus)).epoch([(corpus.source, corpus.source)]) * times
        found = self._forward(f"selection on {split}, {times} times", read)
        return replace(found, hours=found.hours * self.hardware.ranks)

    def features_of(self, corpus: ParallelCorpus, model: str | None = None) -> FeatureSet:
        """Windows of texts, by the tokenizer of the encoder or of another model."""
        project = self.project
        return project.test_features(corpus, model or project.encoder, window_settings(self.settings.model))

    def _forward(self, name: str, read: Workload, model: str | None = None) -> Cost:
        """Cost of forward passes over the windows `read` by the encoder, or by another model."""
        flops = self._size(model).forward_flops(read.tokens, read.squares)
        return Cost(
            name=name,
            done=False,
            pairs=round(read.pairs),
            windows=round(read.windows),
            steps=0,
            tokens=round(read.tokens),
            flops=flops,
            hours=flops / self.speed.forward / 3600,
            gigabytes=0,
        )

    def _size(self, model: str | None) -> ModelSize:
        """Sizes of the encoder, or of another model."""
        trust = self.settings.model.trust_remote_code
        return self.model_size if model is None else model_size_of(model, trust)

    def drawing(self, question_languages_per_example: int) -> "Estimator":
        """An estimator for the same runs with another `training.question_languages_per_example`."""
        other = copy(self)
        training = self.settings.training.model_copy(
            update={"question_languages_per_example": question_languages_per_example}
        )
        other.project = self.project.altered(training=training)
        other.settings, other._workloads = other.project.settings, {}
        return other

    def longest(self, job: Job) -> int:
        """Tokens of the job's longest window; `model.max_length` if the texts are not at hand."""
        return self.texts.epoch(job.pairs).longest if self.at_hand else self.settings.model.max_length

    @cached_property
    def hardware(self) -> Hardware:
        """The hardware that is planned for."""
        return self._named_hardware or this_machine(self.project)

    @cached_property
    def speed(self) -> Speed:
        """Speed of the hardware: measured if texts and hardware are both at hand, else assumed."""
        if self._named_hardware is None and self.at_hand:
            languages = self.settings.corpus.languages
            pairs = [(k, j) for k in languages for j in languages]
            return measured_speed(self.project, pairs, self.model_size)
        return assumed_speed(self.hardware)

    @cached_property
    def model_size(self) -> ModelSize:
        """Sizes of the encoder."""
        model = self.settings.model
        return model_size_of(self.project.encoder if self.at_hand else model.name, model.trust_remote_code)

    @cached_property
    def saved_parameters(self) -> int:
        """Parameters of a saved model, which has its encoder's whole vocabulary (see `trimming.restore`)."""
        size, model = self.model_size, self.settings.model
        if model.name != e5_small.NAME or model.trim is not None:
            return size.parameters
        return size.parameters + (e5_small.VOCABULARY - size.vocabulary) * size.hidden

    @cached_property
    def texts(self) -> Texts:
        """Lengths of the training texts."""
        if self.assumed_size is None:
            return Texts.of(self.project.train_features)
        rule = WindowRule(*window_settings(self.settings.model), specials=_SPECIALS)
        corpus = self.settings.corpus
        return Texts.assumed(self.assumed_size, corpus.languages, rule, corpus.native)

    def _workload(self, pairs: Sequence[LanguagePair]) -> RunWorkload:
        key = tuple(pairs)
        if key not in self._workloads:
            self._workloads[key] = (
                counted_workload(self.project.train_features, pairs, self.settings)
                if self._is_counted(pairs)
                else expected_workload(self.texts, pairs, self.settings.training)
            )
        return self._workloads[key]

    def _is_counted(self, pairs: Sequence[LanguagePair]) -> bool:
        """True if a run's windows are drawn at random, and few enough to be counted batch by batch."""
        training = self.settings.training
        if not self.at_hand or reads_all(training):
            return False
        epoch = self.texts.epoch(pairs).windows
        run = (training.max_steps or 0) * training.batch_size or training.epochs * epoch
        return max(epoch, run) <= _COUNTED


def as_rows(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """Costs as JSON objects."""
    return [asdict(cost) for cost in costs]


def texts_at_hand(project: Project) -> bool:
    """True if the corpus has training files in all languages."""
    corpus = project.settings.corpus
    return all(project.settings.path(corpus.train, language).exists() for language in corpus.languages)
