"""What runs' folders hold for a report: scores, answers, numbers of the training, weights, calibration."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from lbkd.audit.record import REMEDY, Audit, read_audit
from lbkd.errors import DataError
from lbkd.features.dataset import LanguagePair
from lbkd.models.calibration import Calibration, content_of, read_calibration
from lbkd.models.run_folder import FinishedRun, read_run
from lbkd.workspace import described, read_json, read_sealed


@dataclass(frozen=True)
class Evaluation:
    """A model's scores and answers on one set of questions."""

    name: str
    """Of the split of the corpus, or of the benchmark."""
    matrix: bool
    """Every language was asked about passages in every language (G-XLT)."""
    metric: str
    corpus: str
    """Fingerprint of the texts."""
    rows: list[dict[str, Any]]
    """Scores of each pair of languages, see `lbkd.evaluation.evaluate`."""
    answers: dict[LanguagePair, dict[str, str]]
    """Passage and question language -> question id -> answer."""

    @property
    def title(self) -> str:
        """The set's name for readers."""
        return f"{self.name}, all pairs of languages" if self.matrix else self.name

    @property
    def languages(self) -> tuple[str, ...]:
        """Of the passages, in order."""
        return tuple(dict.fromkeys(row["language"] for row in self.rows))


@dataclass(frozen=True)
class ReportedRun:
    """A run, or another model that was evaluated."""

    name: str
    folder: Path
    run: FinishedRun | None
    """None for a model that is no run of lbkd."""
    evaluations: list[Evaluation]
    metrics: list[dict[str, Any]]
    """Lines of `metrics.jsonl`."""
    calibration: Calibration | None
    audit: Audit | None
    """How teachers were weighed; None for a run that did not keep it, or had none."""
    lacks: list[str] = field(default_factory=list)
    """What the folder does not hold, and how to get it, in sentences without the run's name."""

    def zero_shot(self, language: str) -> bool:
        """True if the run's corpus has no training data in the language."""
        return self.run is not None and language not in self.run.settings.corpus.languages


def reported_run(folder: Path, name: str) -> ReportedRun:
    """Read the folder of a run, or of another model that was evaluated.

    Raises:
        DataError: a damaged file.
    """
    run = read_run(folder)
    lacks: list[str] = []
    evaluations = list(_evaluations(folder, lacks))
    if not evaluations:
        how = f"`lbkd evaluate {quote(str(folder))}`, with --corpus or --benchmark,"
        lacks.append(f"no scores and no answers; {how} writes them.")
    metrics = _metrics(folder / "metrics.jsonl")
    if not metrics:
        lacks.append("no curves, since there is no metrics.jsonl.")
    audit = read_audit(folder, run.provenance) if run is not None else None
    if audit is None and run is not None and run.step is None and run.provenance.get("weighting"):
        lacks.append(f"no weights of the teachers; {REMEDY}")
    calibration = read_calibration(folder)
    if calibration is None:
        lacks.append(
            f"no reliability; `lbkd calibrate {quote(str(folder))}`, on development questions, measures it."
        )
    elif not any("bins" in row["after"] for row in calibration.measures):
        path = folder / "calibration.json"
        lacks.append(f"no reliability, since {path} holds no bins; remove it, and calibrate anew.")
    return ReportedRun(name, folder, run, evaluations, metrics, calibration, audit, lacks)


def _evaluations(folder: Path, lacks: list[str]) -> Iterator[Evaluation]:
    """The evaluations that are of the model which is there now; `lacks` is told of the others."""
    remedy = f"`lbkd evaluate {quote(str(folder))}`, with the options of that evaluation, writes it anew."
    contents = {path: read_json(path) for path in sorted((folder / "eval").glob("*.json"))}
    scores = {path: content for path, content in contents.items() if _is_scores(content)}
    answers = {name for content in scores.values() for name in content["answers"]}
    without = []
    for path, content in contents.items():
        if path in scores or f"eval/{path.name}" in answers:
            continue
        if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
            raise DataError(f"{path}: damaged. {remedy}")
        without.append(f"eval/{path.name}")
    if without:
        names = ", ".join(without)
        lacks.append(f"no scores for {names}: the evaluation goes on, or was broken off. {remedy}")
    model = content_of(folder) if scores else ""
    for path in scores:
        sealed = read_sealed(path)
        if sealed is None:
            raise DataError(f"{path}: damaged, or changed by hand. {remedy}")
        if sealed["provenance"]["model"] != model:
            lacks.append(f"eval/{path.name} is of another model than is there now. {remedy}")
            continue
        for name, listed in sealed["answers"].items():
            if listed is None or described(folder / name) != listed:
                raise DataError(f"{folder / name}: missing, damaged, or changed by hand. {remedy}")
        yield _evaluation(folder, path.stem, sealed)


def _is_scores(content: Any) -> bool:
    return isinstance(content, dict) and {"provenance", "answers", "rows"} <= content.keys()


def _evaluation(folder: Path, stem: str, sealed: dict[str, Any]) -> Evaluation:
    name, matrix = stem.removesuffix(".matrix"), stem.endswith(".matrix")
    answers = {}
    for row in sealed["rows"]:
        passage, question = row["language"], row["question_language"]
        file = f"eval/{name}.matrix.{passage}-{question}.json" if matrix else f"eval/{name}.{passage}.json"
        answers[passage, question] = read_json(folder / file)
    provenance = sealed["provenance"]
    metric = provenance["evaluation"]["metric"]
    return Evaluation(name, matrix, metric, provenance["corpus"], sealed["rows"], answers)


def _metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; none where there is no file."""
    lines = []
    if path.exists():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            try:
                lines.append(json.loads(line))
                lines[-1]["step"]
            except (ValueError, LookupError, TypeError) as error:
                raise DataError(
                    f"{path}, line {number}: damaged, it should be an object with a step. Remove the line, "
                    "or the file; the model does not depend on it."
                ) from error
    return lines
