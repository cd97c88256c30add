"""The windows in which teachers disagree most, with their texts."""

from typing import Any

import numpy as np

from lbkd.audit.record import Audit
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.features.tokens import Ints
from lbkd.graphemes import readable


def disputes(audit: Audit, corpus: ParallelCorpus, limit: int) -> list[dict[str, Any]]:
    """The windows with most disagreement, of each question one at most.

    Args:
        audit: the record.
        corpus: the texts that the record is about.
        limit: most windows.

    Returns:
        For each window `disagreement` (see there), the question's `id` and `question`, `passage_language`,
        `question_language`, `passage` (the part that the window holds), `gold`, and `teachers`, each with
        `teacher`, `answer`, `start` and `end` (characters of that part), `probability`, `right`, `weights`
        and `entropy` (start and end). "No answer" is "" without places.
    """
    found = disagreement(audit)
    order = np.argsort(-found, kind="stable")
    order = order[found[order] > 0]
    _, first = np.unique(audit.question[order], return_index=True)
    chosen = order[np.sort(first)][:limit].tolist()
    return [{"disagreement": float(found[n]), **_told(audit, corpus, n)} for n in chosen]


def disagreement(audit: Audit) -> np.ndarray:
    """(N,) mean over pairs of teachers of the product of their answers' probabilities; 0 where answers agree.

    So it is the chance that two teachers drawn from all, each giving its answer with its probability and
    else none, give different ones.
    """
    k = len(audit.teachers)
    total = np.zeros(len(audit.feature))
    chances = audit.probability.astype(np.float64)
    for one in range(k):
        for other in range(one):
            differ = (audit.answer[:, one] != audit.answer[:, other]).any(1)
            total += differ * chances[:, one] * chances[:, other]
    return total / max(1, k * (k - 1) / 2)


def _told(audit: Audit, corpus: ParallelCorpus, n: int) -> dict[str, Any]:
    """One window in words."""
    told = audit.languages[int(audit.passage_language[n])]
    asked = audit.languages[int(audit.question_language[n])]
    number = int(audit.question[n])
    beside = corpus.datasets[told].questions[int(corpus.rows[told][number])]
    passage = corpus.datasets[told].passages[beside.passage]
    begin, end = (int(place) for place in audit.read[n])

    def span(place: Ints) -> dict[str, Any]:
        if place[0] < 0:
            return {"answer": "", "start": None, "end": None}
        start, stop = readable(passage, *(int(each) for each in place))
        return {"answer": passage[start:stop], "start": start - begin, "end": stop - begin}

    teachers = [
        {
            "teacher": name,
            **span(audit.answer[n, k]),
            "probability": float(audit.probability[n, k]),
            "right": bool(audit.right[n, k]),
            "weights": audit.weights[n, :, k].astype(float).tolist(),
            "entropy": audit.entropy[n, :, k].astype(float).tolist(),
        }
        for k, name in enumerate(audit.teachers)
    ]
    return {
        "id": corpus.question_ids[number],
        "passage_language": told,
        "question_language": asked,
        "question": corpus.datasets[asked].questions[int(corpus.rows[asked][number])].text,
        "passage": passage[begin:end],
        "gold": span(audit.gold[n])["answer"],
        "teachers": teachers,
    }
