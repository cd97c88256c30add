"""Gigabytes that a run leaves on disk, by kind of file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lbkd.corpus.packed import packed_place
from lbkd.models import e5_small
from lbkd.planning.estimate import Cost, Estimator

_PACKED_BYTES = 7.0
"""Bytes of a packed file for each token: 6 in Latin script, 11 in Devanagari (XQuAD, e5-small)."""


@dataclass(frozen=True)
class Disk:
    """Gigabytes of each kind of file in the workspace."""

    corpus: float
    """Texts of the corpus, packed."""
    tokens: float
    """Tables of token ids."""
    logits: float
    """Logits of the teachers."""
    models: float
    """Trained models, and the encoder's copy where its vocabulary is cut."""
    checkpoints: float
    """Two checkpoints of a run, and one that is being written."""

    @classmethod
    def of(cls, estimator: Estimator, costs: Sequence[Cost], stage: int) -> "Disk":
        """Estimate the files of a run.

        Args:
            estimator: corpus, settings and model.
            costs: costs of all steps.
            stage: ZeRO stage.
        """
        return cls(
            corpus=packed_corpus(estimator),
            tokens=token_tables(estimator),
            logits=sum(cost.gigabytes for cost in costs if not cost.steps),
            models=sum(cost.gigabytes for cost in costs if cost.steps) + prepared_model(estimator),
            checkpoints=checkpoints(estimator, costs, stage),
        )

    @property
    def total(self) -> float:
        """Gigabytes of all files."""
        return float(sum(asdict(self).values()))


def packed_corpus(estimator: Estimator) -> float:
    """Gigabytes of the packed texts: the files that are there already, or a guess from the tokens."""
    if (size := estimator.assumed_size) is not None:
        return 1e-9 * _PACKED_BYTES * size.tokens * len(estimator.settings.corpus.languages)
    project = estimator.project
    corpora = [project.train_corpus, *([project.test_corpus] if project.has_test else [])]
    folder = estimator.settings.workspace / "corpus"
    paths = [data.path for corpus in corpora for data in corpus.datasets.values()]
    return 1e-9 * sum(place.stat().st_size for place in {packed_place(path, folder) for path in paths})


def token_tables(estimator: Estimator) -> float:
    """Gigabytes of token tables: 12 bytes a token (id and two offsets) and 8 bytes a text."""
    if (size := estimator.assumed_size) is not None:
        texts = size.passages + size.questions
        return 1e-9 * len(estimator.settings.corpus.languages) * (12 * size.tokens + 8 * texts)
    project = estimator.project
    found = [project.train_features]
    if project.has_test:
        found.append(estimator.features_of(project.test_corpus))
    tables = [table for each in found for table in (*each.passages.values(), *each.questions.values())]
    return 1e-9 * sum(12 * int(table.rows[-1]) + 8 * len(table.rows) for table in tables)


def prepared_model(estimator: Estimator) -> float:
    """Gigabytes of the encoder's copy in the workspace; 0 unless the vocabulary is cut."""
    model = estimator.settings.model
    copied = model.name == e5_small.NAME or model.trim is not None
    return 4e-9 * estimator.model_size.parameters if copied else 0


def checkpoints(estimator: Estimator, costs: Sequence[Cost], stage: int) -> float:
    """Gigabytes of the checkpoints of a run; 0 if no training takes `training.checkpoint_minutes`."""
    training, model_size = estimator.settings.training, estimator.model_size
    minutes = max((60 * cost.hours for cost in costs if cost.steps and not cost.done), default=0.0)
    if not 0 < training.checkpoint_minutes <= minutes:
        return 0.0
    copies = 2 if training.select_on else 1  # the best weights so far beside the last ones
    frozen = model_size.word_vectors if training.freeze_embeddings else 0
    optimizer = (12 if stage in (1, 2) else 8) * (model_size.parameters - frozen)
    return 3e-9 * (4 * copies * model_size.parameters + optimizer)
