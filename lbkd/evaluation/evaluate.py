"""Scores of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbkd.config import ModelSettings
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.errors import ConfigError, nearest
from lbkd.evaluation.answers import answers_by_question
from lbkd.evaluation.benchmarks import BENCHMARKS
from lbkd.evaluation.metrics import score_predictions
from lbkd.models.load import load_span_model, trained
from lbkd.project import Project, window_settings
from lbkd.workspace import folder_hash, read_json, write_json


@dataclass(frozen=True)
class EvaluationSet:
    """Questions to score models with."""

    name: str
    """In the names of what is written."""
    corpus: ParallelCorpus
    metric: str
    matrix: bool = False
    """Ask in every language about passages in every language (G-XLT), instead of in the passage's own."""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(passage language, question language) of what is asked."""
        languages = self.corpus.languages
        return [(k, j) for k in languages for j in (languages if self.matrix else [k])]

    @property
    def scores(self) -> str:
        """Name of the file with the scores, in a model's folder."""
        return f"eval/{self.name}{'.matrix' if self.matrix else ''}.json"

    def answers(self, passage: str, question: str) -> str:
        """Name of the file with the answers for a pair of languages."""
        return f"eval/{self.name}.{f'matrix.{passage}-{question}' if self.matrix else passage}.json"

    def golds(self, passage: str, question: str) -> dict[str, list[str]]:
        """Question id -> reference answers, for the questions that both languages have."""
        asked = set(self.corpus.datasets[question].ids)
        return {
            item.id: [answer.text for answer in item.answers]
            for item in self.corpus.datasets[passage].questions
            if item.id in asked
        }


def own_test_set(project: Project) -> EvaluationSet:
    """The corpus's own test split."""
    settings = project.settings
    return EvaluationSet(settings.corpus.test, project.test_corpus, settings.evaluation.metric)


def benchmark_set(name: str, folder: Path, languages: Sequence[str] | None = None) -> EvaluationSet:
    """The test questions of a public benchmark, with its official metric.

    Args:
        name: of the benchmark.
        folder: what it was downloaded to.
        languages: some of its languages; by default all.

    Raises:
        ConfigError: no such benchmark, or a language that it lacks.
        DataError: files that are missing or faulty.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"no benchmark {name!r}; {nearest(name, BENCHMARKS)}")
    benchmark = BENCHMARKS[name]
    return EvaluationSet(
        name, benchmark.read(folder, "test", languages or benchmark.languages), benchmark.metric
    )


def evaluate(
    project: Project, model: Path, evaluation_set: EvaluationSet | None = None
) -> list[dict[str, Any]]:
    """Score a run (or any model folder); one row for each passage and question language that is asked.

    Answers and rows go to files in the model's folder (see `EvaluationSet`). They are taken from there if
    nothing that they depend on has changed.

    A run is evaluated with the tokenizer and the window settings that it was trained with.

    Args:
        project: settings, and the training languages.
        model: the folder.
        evaluation_set: by default the corpus's own test split.

    Returns:
        Rows with `model`, `task`, `language` (the passages'), `question_language`, `zero_shot` (no training
        data in the passages' language), `exact_match` and `f1` (percent), `questions`, and what the metric
        gives beside these.
    """
    evaluation_set = evaluation_set or own_test_set(project)
    folder, settings = trained(model)
    with project.locked(model / "eval"):
        return _evaluate(project, model, evaluation_set, folder, settings)


def _evaluate(
    project: Project, model: Path, evaluation_set: EvaluationSet, folder: str, settings: ModelSettings
) -> list[dict[str, Any]]:
    task = (read_json(model / "run.json") or {}).get("task", "")
    windows = window_settings(settings)
    how, learnt = project.settings.evaluation, project.settings.corpus.languages
    dtype = compute_dtype(project.settings.runtime.precision)
    provenance = {
        "corpus": evaluation_set.corpus.fingerprint(),
        "window settings": list(windows),
        "model": folder_hash(Path(folder)),
        "evaluation": {
            **how.model_dump(mode="json"),
            "metric": evaluation_set.metric,
            "precision": str(dtype),
        },
    }
    former = collectives.broadcast_object(read_json(model / evaluation_set.scores))
    if former is not None and former["provenance"] == provenance:
        return [{**row, "zero_shot": row["language"] not in learnt} for row in former["rows"]]
    if project.rank == 0:
        (model / evaluation_set.scores).unlink(
            missing_ok=True
        )  # answers that are half old must not look valid
    network = load_span_model(folder, device=current_device())
    features = project.test_features(evaluation_set.corpus, folder, windows)
    asked: Sequence[tuple[tuple[str, str], dict[str, list[str]]]] = [
        (pair, golds) for pair in evaluation_set.pairs if (golds := evaluation_set.golds(*pair))
    ]
    rows = []
    for done, (pair, golds) in enumerate(asked, start=1):
        mine = answers_by_question(
            network,
            features,
            pair,
            lambda questions: questions[project.rank :: project.world_size],
            n_best=1,
            max_answer_tokens=how.max_answer_tokens,
            batch_tokens=how.batch_tokens,
            dtype=dtype,
        )
        found = {
            id_: decoded
            for part in collectives.all_gather_objects(dict(mine))
            for id_, decoded in part.items()
        }
        answers = {id_: decoded.answers[0].text for id_, decoded in found.items()}
        no_answer = (
            {id_: decoded.no_answer for id_, decoded in found.items()}
            if evaluation_set.metric == "squad-v2"
            else None
        )
        score = score_predictions(
            golds, answers, evaluation_set.metric, pair[0], no_answer, no_answer_threshold=0.0
        )
        rows.append(
            {
                "model": model.name,
                "task": task,
                "language": pair[0],
                "question_language": pair[1],
                "zero_shot": pair[0] not in learnt,
                "exact_match": score.exact_match,
                "f1": score.f1,
                "questions": score.questions,
                **score.extras,
            }
        )
        if project.rank == 0:
            write_json(model / evaluation_set.answers(*pair), answers)
        project.listener.progress(f"{model.name} answers", done, len(asked), {})
    if project.rank == 0:
        write_json(model / evaluation_set.scores, {"provenance": provenance, "rows": rows})
    return rows
