"""Counts of the answers of a file that each method recovered, and of the answers lost for each reason."""

from collections import Counter, defaultdict
from typing import Any

from lbkd.recovery.recover import METHODS, RecoveredAnswer

_EXAMPLES = 3
"""Examples kept for each method and each reason, from the beginning of the file."""


def is_report(value: Any) -> bool:
    """Whether a JSON value is a report of translated or repaired files: file to `Tally.result` and more."""
    kinds = {"answers", "markers", "methods", "reasons"}
    return isinstance(value, dict) and all(
        isinstance(entry, dict) and entry.keys() >= kinds for entry in value.values() or ("",)
    )


class Tally:
    """Counts the answers of a file and keeps the first examples of each result and remark."""

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        """Answers by the method that recovered them."""
        self.lost: Counter[str] = Counter()
        """Answers by the reason why no method recovered them."""
        self.markers: Counter[str] = Counter()
        """Distinct answers by the state of their markers after translation: `sound`, or the fault."""
        self._remarks: Counter[str] = Counter()
        self._scores: defaultdict[str, float] = defaultdict(float)
        self._examples: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    def keep(self, id: str, answer: str, recovered: RecoveredAnswer, text: str) -> None:
        """Count an answer of question `id` that was recovered; `text` is its new wording."""
        self.kept[recovered.method] += 1
        self._scores[recovered.method] += recovered.score
        example = {"id": id, "answer": answer, "found": text, "score": round(recovered.score, 4)}
        self._example(recovered.method, example)

    def lose(self, id: str, answer: str, reason: str, text: str) -> None:
        """Count an answer of question `id` that was not recovered; `text` is where it was sought."""
        self.lost[reason] += 1
        self._example(reason, {"id": id, "answer": answer, "text": text})

    def remark(self, what: str, example: dict[str, Any]) -> None:
        """Count something that no question is discarded for, such as `passages equal to their source`."""
        self._remarks[what] += 1
        self._example(what, example)

    def result(self) -> dict[str, Any]:
        """The counts as a JSON value: methods in the order of `METHODS`, reasons by falling counts."""
        methods = sorted(self.kept, key=lambda name: METHODS.index(name) if name in METHODS else -1)
        return {
            "answers": {"kept": self.kept.total(), "discarded": self.lost.total()},
            "markers": dict(sorted(self.markers.items())),
            "methods": {
                name: {
                    "answers": self.kept[name],
                    "mean_score": round(self._scores[name] / self.kept[name], 4),
                    "examples": self._examples[name],
                }
                for name in methods
            },
            "reasons": {
                name: {"answers": count, "examples": self._examples[name]}
                for name, count in sorted(self.lost.items(), key=lambda item: (-item[1], item[0]))
            },
            "remarks": {
                name: {"number": count, "examples": self._examples[name]}
                for name, count in sorted(self._remarks.items())
            },
        }

    def _example(self, result: str, example: dict[str, Any]) -> None:
        if len(self._examples[result]) < _EXAMPLES:
            self._examples[result].append(example)
