"""The gate by language: an exported model's answers held against torch's."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from lbkd.evaluation.answers import Allowed, Decoding, answers_by_question
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.evaluation.metrics import score_each
from lbkd.evaluation.scored import scored
from lbkd.evaluation.significance import paired_bootstrap
from lbkd.evaluation.spans import Logits, Spans, best_spans
from lbkd.features.batches import Batch
from lbkd.features.collate import Collated, collated
from lbkd.features.dataset import FeatureSet
from lbkd.features.windows import Windows
from lbkd.inference.onnx_model import OnnxReader
from lbkd.models.span import span_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Distances = npt.NDArray[np.float32]
FARTHEST = 1e-3
"""Most that a logit of an exported fp32 model may differ from torch's."""


@dataclass(frozen=True)
class Held:
    """The exported answers beside torch's, in one language."""

    language: str
    questions: int
    f1_torch: float
    """In percent, as the next."""
    f1_exported: float
    difference: float
    """F1 that the export gains; below 0, it loses."""
    low: float
    """Lower end of the difference's 95 % interval, by paired bootstrap over questions."""
    high: float
    same: int
    """Questions with the same answer."""
    logits: float
    """Largest difference between a logit of torch and the export's."""

    def holds(self, precision: str, tolerance: float) -> bool:
        """True if this language lets the export pass.

        An fp32 model must have torch's logits; then answers can only differ between spans that torch itself
        takes for equally good. An int8 model may lose `tolerance` F1. That is asked of the loss as measured,
        the bootstrap's middle: with hundreds of questions, the interval's ends are farther from it than the
        tolerance, and asking it of them would refuse, or let pass, by the number of questions.
        """
        if precision == "fp32":
            return self.logits <= FARTHEST
        return self.difference >= -tolerance

    def row(self) -> dict[str, Any]:
        """The fields, by name."""
        return asdict(self)


@dataclass
class _Torch:
    """A `Reader` of a torch model that keeps the logits of all batches, in their order."""

    model: "PreTrainedModel"
    kept: list[Logits] = field(default_factory=list)

    def spans(
        self, batches: Iterable[Collated], allowed: Allowed, decoding: Decoding
    ) -> Generator[tuple[Windows, Spans]]:
        for batch in batches:
            self.kept.append(torch_logits(self.model, batch))
            yield batch.windows, _best(self.kept[-1], batch, allowed, decoding)


@dataclass
class _Exported:
    """A `Reader` of an exported model that keeps how far its logits are from torch's."""

    reader: OnnxReader
    expected: Sequence[Logits]
    """Of all batches, in their order."""
    farthest: float = 0.0

    def spans(
        self, batches: Iterable[Collated], allowed: Allowed, decoding: Decoding
    ) -> Generator[tuple[Windows, Spans]]:
        for batch, expected in zip(batches, self.expected, strict=True):
            logits = self.reader.logits(batch)
            self.farthest = max(self.farthest, distances(logits, expected, batch).max())
            yield batch.windows, _best(logits, batch, allowed, decoding)


class Gate:
    """Holds exported models against the torch model, whose answers are computed once.

    Args:
        model: in float32.
        features: the windows of the questions, as the model reads them.
        questions: what is asked, with the reference answers.
        decoding: how answers are computed.
    """

    def __init__(
        self, model: "PreTrainedModel", features: FeatureSet, questions: EvaluationSet, decoding: Decoding
    ) -> None:
        self.languages = tuple(language for language, _ in questions.pairs)
        self._features, self._questions, self._decoding = features, questions, decoding
        torch.nn.Module.train(model, False)
        self._model = model
        self._answers: dict[str, dict[str, str]] = {}
        self._logits: dict[str, list[Logits]] = {}

    def held(self, reader: OnnxReader, language: str) -> Held:
        """An exported model's answers in a language beside torch's."""
        asked = self._features, (language, language), self._decoding
        if language not in self._answers:
            ours = _Torch(self._model)
            self._answers[language] = self._scored(dict(answers_by_question(ours, *asked)), language)
            self._logits[language] = ours.kept
        theirs = _Exported(reader, self._logits[language])
        found = self._scored(dict(answers_by_question(theirs, *asked)), language)
        return self._held(found, language, theirs.farthest)

    def sample(self, count: int) -> list[Callable[[OnnxReader], Distances]]:
        """Functions that tell how far an exported model's logits are from torch's, each in one window.

        Args:
            count: windows, as many in each language, and one at least; evenly spread over the language's.
        """
        each = max(1, count // len(self.languages))
        found: list[Callable[[OnnxReader], Distances]] = []
        for language in self.languages:
            ids = self._features.features([(language, language)])
            for id_ in ids[np.linspace(0, len(ids) - 1, min(each, len(ids))).astype(np.int64)]:
                batch = collated(self._features, np.array([id_]))
                found.append(partial(_apart, torch_logits(self._model, batch), batch))
        return found

    def _held(self, found: Mapping[str, str], language: str, farthest: float) -> Held:
        golds, metric = self._questions.golds(language, language), self._questions.metric
        expected = self._answers[language]
        theirs, ours = (
            [100 * each.f1 for each in score_each(golds, answers, metric, language).values()]
            for answers in (found, expected)
        )
        compared = paired_bootstrap(theirs, ours)
        return Held(
            language=language,
            questions=len(golds),
            f1_torch=float(np.mean(ours)),
            f1_exported=float(np.mean(theirs)),
            difference=compared.difference,
            low=compared.low,
            high=compared.high,
            same=sum(found[id_] == text for id_, text in expected.items()),
            logits=float(farthest),
        )

    def _scored(self, found: Any, language: str) -> dict[str, str]:
        golds = self._questions.golds(language, language)
        return scored(found, golds, self._questions.metric, language).answers


def torch_logits(model: "PreTrainedModel", batch: Collated) -> Logits:
    """(B, L) logits of a torch model on the CPU, -inf at padding."""
    with torch.inference_mode():
        found = span_logits(model, Batch.of(batch))
    return Logits(found.start.numpy(), found.end.numpy())


def _apart(expected: Logits, batch: Collated, reader: OnnxReader) -> Distances:
    """(2, T) how far an exported model's logits of a batch's T tokens are from torch's."""
    return distances(reader.logits(batch), expected, batch)


def distances(logits: Logits, expected: Logits, batch: Collated) -> Distances:
    """(2, T) how far the logits of a batch's T tokens are from the expected ones."""
    pairs = zip(logits, expected, strict=True)
    return np.stack([np.abs(found[batch.mask] - right[batch.mask]) for found, right in pairs])


def _best(logits: Logits, batch: Collated, allowed: Allowed, decoding: Decoding) -> Spans:
    how = decoding.n_best, decoding.max_answer_tokens, decoding.temperature
    return best_spans(logits, allowed(batch.windows, batch.passage_at), *how)
