"""What all teachers say together, summed by a weighting (Eq. 3): what a student learns from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.nn.functional import cross_entropy

from lbkd.audit.measures import PARTS, SAMPLES, Shares, by_question, interval
from lbkd.audit.observed import answers, anywhere, labelled
from lbkd.evaluation.significance import paired_bootstrap
from lbkd.evaluation.spans import Logits
from lbkd.features.batches import Batch
from lbkd.features.dataset import FeatureSet
from lbkd.models.span import SpanLogits

NLL = "nll"
Columns = Mapping[str, npt.NDArray[Any]]


def taught(features: FeatureSet, batch: Batch, summed: SpanLogits, longest: int) -> Columns:
    """How right a sum is about B windows.

    Args:
        features: the corpus of the windows.
        batch: the windows.
        summed: (B, L) start and end logits, -inf at padding.
        longest: tokens of the longest span.

    Returns:
        (B,) each: `start` and `end`, 1 where the likeliest token is the label; `answer`, 1 where the best
        span is the labelled one (see `observed`); `nll`, the mean over start and end of the label's negative
        log-likelihood, in nats; and the windows' `question`.
    """
    golds = dict(zip(PARTS[:2], (batch.starts, batch.ends), strict=True))
    halves = dict(zip(PARTS[:2], summed, strict=True))
    logits = Logits(*(half.numpy() for half in summed))
    answer, _ = answers(features, batch, logits, anywhere(features, batch), longest)
    nll = [cross_entropy(halves[name], golds[name], reduction="none").double().numpy() for name in golds]
    return {
        **{name: (halves[name].argmax(-1) == golds[name]).double().numpy() for name in golds},
        PARTS[2]: (answer == labelled(features, batch.windows)).all(-1).astype(np.float64),
        NLL: np.mean(nll, axis=0),
        "question": batch.windows.question,
    }


def compared(found: Mapping[str, Sequence[Columns]]) -> list[dict[str, Any]]:
    """How right each weighting's sum is.

    Args:
        found: weighting -> what it taught, in parts of the same windows.

    Returns:
        Rows with `weighting`, `part` (of `PARTS`, or `nll`), `mean` (share that is right, or nats), and
        `difference` from the first of all weightings with its 95 % interval, `low` and `high`, by a bootstrap
        over the questions. A question counts once, with its mean over windows.
    """
    rows: list[dict[str, Any]] = []
    first: dict[str, Shares] = {}
    for weighting, parts in found.items():
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        question = whole.pop("question")
        for name, values in whole.items():
            means = by_question(question, values)
            gap = paired_bootstrap(means, first.setdefault(name, means), SAMPLES)
            rows.append({"weighting": weighting, "part": name, "mean": float(means.mean()), **interval(gap)})
    return rows
