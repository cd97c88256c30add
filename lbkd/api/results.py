"""What the functions of `lbkd` give back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbkd.inference import Answerer


@dataclass(frozen=True)
class Score:
    """Score of a model in one pair of languages."""

    model: str
    """Name of the model's folder."""
    task: str
    """Name of the task that the model learned; empty for a model that is no run of lbkd."""
    language: str
    """Language of the passages."""
    question_language: str
    exact_match: float
    """In percent."""
    f1: float
    """In percent."""
    questions: int
    """Number of questions that the score rests on."""
    extras: Mapping[str, Any]
    """What the metric tells beside, by name."""
    shared_questions: int
    """Number of those questions that are asked in every language."""
    zero_shot: bool
    """True if the model's corpus had no training data in the passages' language."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Score":
        """The score of a row of `lbkd.evaluation.evaluate`."""
        own = {each.name for each in fields(cls)} - {"extras"}
        rest = {name: value for name, value in row.items() if name not in own}
        return cls(**{name: row[name] for name in own}, extras=rest)

    def row(self) -> dict[str, Any]:
        """The score as an object of `--json` and of `results.json`."""
        row: dict[str, Any] = {}
        for name, value in asdict(self).items():
            row |= value if name == "extras" else {name: value}
        return row


@dataclass(frozen=True)
class TrainedModel:
    """A model that was trained, now or before."""

    name: str
    """Name of the run, by which `lbkd evaluate`, `predict` and `status` know it."""
    folder: Path
    """Folder of the run; the Hugging Face model is in `model` below."""
    seconds: float
    """Seconds that the training took."""
    scores: list[Score]
    """Scores on the corpus's own test split, one for each language that has a test file."""

    def __fspath__(self) -> str:
        return str(self.folder)

    def answerer(self, **options: Any) -> "Answerer":
        """An `Answerer` of this model; `options` are its arguments."""
        from lbkd.inference import Answerer

        return Answerer(self.folder, **options)
