"""Records of a few windows, worked out by hand."""

from typing import Any

import numpy as np

from lbkd.audit.record import Audit


def record(**columns: Any) -> Audit:
    """Four windows of two questions, two teachers; the passages are English, English, Spanish, Spanish.

    `en` is right about the first three answers, `es` about the last two.
    """
    made: dict[str, Any] = {
        "feature": [0, 1, 2, 3],
        "question": [0, 1, 0, 1],
        "passage_language": [0, 0, 1, 1],
        "question_language": [0, 1, 0, 1],
        "read": [[0, 20]] * 4,
        "gold": [[0, 3], [4, 7], [0, 3], [-1, -1]],
        "weights": [
            [[0.75, 0.25], [0.25, 0.75]],
            [[0.75, 0.25], [0.75, 0.25]],
            [[0.5, 0.5], [0.5, 0.5]],
            [[0.25, 0.75], [0.75, 0.25]],
        ],
        "entropy": [[[1, 2], [1, 2]], [[2, 1], [1, 2]], [[1, 2], [1, 2]], [[2, 1], [3, 1]]],
        "hit": [
            [[True, False], [True, False]],
            [[True, False], [True, True]],
            [[True, True], [False, True]],
            [[False, False], [False, True]],
        ],
        "answer": [[[0, 3], [9, 12]], [[4, 7], [4, 9]], [[0, 3], [0, 3]], [[5, 8], [-1, -1]]],
        "probability": [[0.5, 0.5], [1, 0.25], [0.5, 0.75], [0.25, 0.5]],
        "right": [[True, False], [True, False], [True, True], [False, True]],
    }
    halves = {"weights", "entropy", "probability"}
    arrays = {
        name: np.array(value, np.float16 if name in halves else None)
        for name, value in (made | columns).items()
    }
    return Audit(("en", "es"), ("en", "es"), 30, **arrays)
