"""What runs will cost, before anything starts."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lbkd.features.dataset import LanguagePair
from lbkd.features.windows import WindowRule
from lbkd.models import e5_small
from lbkd.planning.hardware import Hardware, this_machine
from lbkd.planning.jobs import Job
from lbkd.planning.model_size import ModelSize, model_size_of
from lbkd.planning.speed import Speed, assumed_speed, measured_speed
from lbkd.planning.workload import Size, Texts, Workload
from lbkd.project import Project, window_settings
from lbkd.teachers.packing import mean_size
from lbkd.training.schedule import Schedule

_SPECIALS = 4
"""Special tokens of a pair that are assumed where there is no tokenizer."""
_FEW = 2**17
"""Windows of a run that are counted batch by batch, where which ones it reads is left to chance."""


@dataclass(frozen=True)
class Cost:
    """Of one step of the way."""

    what: str
    done: bool
    """It is there already and valid, and costs nothing."""
    pairs: int
    """(question, passage language, question language) that are learnt from in an epoch, or scored."""
    windows: int
    """Read in all."""
    steps: int
    """Of the optimizer; 0 where nothing is trained."""
    tokens: int
    """Read in all, padding not counted."""
    flops: float
    """Floating-point operations in all."""
    hours: float
    gigabytes: float
    """On disk, in the end."""

    @classmethod
    def sum(cls, what: str, costs: "Sequence[Cost]") -> "Cost":
        """Of several steps, as one."""
        pairs, windows, steps, tokens = (
            sum(getattr(cost, name) for cost in costs) for name in ("pairs", "windows", "steps", "tokens")
        )
        flops, hours, gigabytes = (
            sum(getattr(cost, name) for cost in costs) for name in ("flops", "hours", "gigabytes")
        )
        return cls(what, all(c.done for c in costs), pairs, windows, steps, tokens, flops, hours, gigabytes)


class Estimator:
    """Costs of runs.

    Args:
        project: texts and encoder.
        size: what to assume of the texts where they are not at hand.
        where: on which machine; by default on this one, measured.

    Raises:
        LbkdError: the corpus is not at hand, and there is no size to assume.
    """

    def __init__(self, project: Project, size: Size | None = None, where: Hardware | None = None) -> None:
        self.project = project
        self.settings = project.settings
        self.assumed = None if texts_at_hand(project) else size
        self._named = where
        if self.assumed is None:
            _ = project.train_features  # or the error that says what is missing
        self._read: dict[tuple[LanguagePair, ...], tuple[int, Workload, Workload]] = {}

    @property
    def at_hand(self) -> bool:
        """Nothing is assumed of the texts."""
        return self.assumed is None

    def costs(self, jobs: Sequence[Job]) -> list[Cost]:
        """Of the jobs in their order, each after the teachers' logits that it is the first to need."""
        found: dict[str, Cost] = {}
        for job in jobs:
            *_, seen = self._workload(job.pairs)
            for teacher in job.teachers:
                cost = self._scoring(teacher, seen)
                found.setdefault(cost.what, cost)
            found.setdefault(job.name, self._training(job))
        return list(found.values())

    def _training(self, job: Job) -> Cost:
        steps, read, _ = self._workload(job.pairs)
        pairs = self.texts.epoch(job.pairs, self.settings.training.question_languages_per_example).pairs
        flops = self.model_size.flops(read.tokens, read.squares)
        if job.masked:  # as many masked windows beside
            frozen = self.settings.training.freeze_embeddings
            flops = 2 * flops + job.masked * read.tokens * self.model_size.head_flops(frozen=frozen)
            read = read * 2
        return Cost(
            job.name,
            job.done,
            round(pairs),
            round(read.windows),
            steps,
            round(read.tokens),
            flops,
            flops / self.speed.training / 3600,
            4e-9 * self.model_size.parameters,
        )

    def _scoring(self, teacher: Job, seen: Workload) -> Cost:
        flops = self.model_size.forward_flops(seen.tokens, seen.squares)
        return Cost(
            f"logits of {teacher.name}",
            teacher.done and teacher.scored,
            round(seen.pairs),
            round(seen.windows),
            0,
            round(seen.tokens),
            flops,
            flops / self.speed.forward / 3600,
            2e-9 * mean_size(seen.windows, seen.tokens),
        )

    def drawing(self, question_languages_per_example: int) -> "Estimator":
        """The same with so many question languages drawn."""
        other = copy(self)
        training = self.settings.training.model_copy(
            update={"question_languages_per_example": question_languages_per_example}
        )
        other.project = self.project.altered(training=training)
        other.settings, other._read = other.project.settings, {}
        return other

    def evaluation(self, models: int) -> Cost | None:
        """Of so many models on the corpus's own test split; None where it is not at hand."""
        if self.assumed is not None or not self.project.has_test:
            return None
        project = self.project
        windows = window_settings(self.settings.model)
        texts = Texts.of(project.test_features(project.test_corpus, project.encoder, windows))
        asked = [(language, language) for language in project.test_corpus.languages]
        read = texts.epoch(asked) * models
        flops = self.model_size.forward_flops(read.tokens, read.squares)
        hours = flops / self.speed.forward / 3600
        counts = round(read.pairs), round(read.windows), 0, round(read.tokens)
        return Cost(f"evaluation of {models}", False, *counts, flops, hours, 0)

    def token_tables(self) -> float:
        """Gigabytes of the texts as tokens: an id and two offsets each, and where every text begins."""
        if self.assumed is not None:
            size = self.assumed
            tokens = size.passages * size.passage_tokens + size.questions * size.question_tokens
            each = 12 * tokens + 8 * (size.passages + size.questions)
            return 1e-9 * len(self.settings.corpus.languages) * each
        features = self.project.train_features
        tables = [*features.passages.values(), *features.questions.values()]
        return 1e-9 * sum(12 * int(table.rows[-1]) + 8 * len(table.rows) for table in tables)

    def prepared_model(self) -> float:
        """Gigabytes of the encoder, where the workspace holds a copy with a trimmed vocabulary."""
        model = self.settings.model
        return (
            4e-9 * self.model_size.parameters if model.name == e5_small.NAME or model.trim is not None else 0
        )

    def checkpoints(self, costs: Sequence[Cost], stage: int) -> float:
        """Gigabytes of checkpoints while runs go, if one takes long enough: two, and one in the making."""
        training = self.settings.training
        minutes = max((60 * cost.hours for cost in costs if cost.steps and not cost.done), default=0.0)
        if not 0 < training.checkpoint_minutes <= minutes:
            return 0.0
        weights = self.model_size.parameters * (
            2 if training.select_on else 1
        )  # the best so far beside the last
        trained = self.model_size.parameters - (
            self.model_size.word_vectors if training.freeze_embeddings else 0
        )
        return 3e-9 * (4 * weights + (12 if stage in (1, 2) else 8) * trained)

    def longest(self, job: Job) -> int:
        """Tokens of the job's longest window; the most that there may be where texts are assumed."""
        if self.assumed is not None:
            return self.settings.model.max_length
        return self.texts.epoch(job.pairs).longest

    @cached_property
    def where(self) -> Hardware:
        """The machine."""
        return self._named or this_machine(self.project)

    @cached_property
    def speed(self) -> Speed:
        """Measured where nothing need be assumed."""
        if self._named is None and self.assumed is None:
            languages = self.settings.corpus.languages
            pairs = [(k, j) for k in languages for j in languages]
            return measured_speed(self.project, pairs, self.model_size)
        return assumed_speed(self.where)

    @cached_property
    def model_size(self) -> ModelSize:
        """Of the model."""
        model = self.settings.model
        return model_size_of(
            self.project.encoder if self.assumed is None else model.name, model.trust_remote_code
        )

    @cached_property
    def texts(self) -> Texts:
        """Lengths of what is learnt from."""
        if self.assumed is None:
            return Texts.of(self.project.train_features)
        rule = WindowRule(*window_settings(self.settings.model), specials=_SPECIALS)
        return Texts.assumed(self.assumed, self.settings.corpus.languages, rule)

    def _workload(self, pairs: Sequence[LanguagePair]) -> tuple[int, Workload, Workload]:
        """Optimizer steps of a run, what it reads, and what it reads when a window counts only once."""
        key = tuple(pairs)
        if key not in self._read:
            self._read[key] = self._counted(pairs) or self._expected(pairs)
        return self._read[key]

    def _expected(self, pairs: Sequence[LanguagePair]) -> tuple[int, Workload, Workload]:
        training = self.settings.training
        drawn, whole = (self.texts.epoch(pairs, n) for n in (training.question_languages_per_example, None))
        each = math.ceil(drawn.windows / training.batch_size)
        epochs = training.max_steps / each if training.max_steps and each else training.epochs
        # An epoch that is not finished shows a part of its windows; each epoch draws anew.
        full, rest = divmod(epochs, 1)
        share = drawn.windows / whole.windows if whole.windows else 0.0
        seen = 1 - (1 - share) ** full * (1 - rest * share)
        return training.max_steps or training.epochs * each, drawn * epochs, whole * seen

    def _counted(self, pairs: Sequence[LanguagePair]) -> tuple[int, Workload, Workload] | None:
        """Batch by batch, where chance plays a part and the run is short; else None."""
        training = self.settings.training
        chance = training.max_steps is not None or training.question_languages_per_example is not None
        epoch = self.texts.epoch(pairs).windows
        run = (training.max_steps or 0) * training.batch_size or training.epochs * epoch
        if self.assumed is not None or not chance or max(epoch, run) > _FEW:
            return None
        features = self.project.train_features
        plan = Schedule(features, pairs, self.settings)
        batches = [ids for _, ids in plan]
        read = np.concatenate([np.zeros(0, dtype=np.int64), *batches])

        def workload(ids: np.ndarray) -> Workload:
            lengths = features.lengths(ids)
            firsts = int((features.windows(ids).number == 0).sum())
            longest = int(np.max(lengths, initial=0))
            return Workload(firsts, len(ids), int(lengths.sum()), int((lengths**2).sum()), longest)

        return len(batches), workload(read), workload(np.unique(read))


def as_rows(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """For tables and programs."""
    return [asdict(cost) for cost in costs]


def texts_at_hand(project: Project) -> bool:
    """Whether there are training files in all languages."""
    corpus = project.settings.corpus
    return all(project.settings.path(corpus.train, language).exists() for language in corpus.languages)
