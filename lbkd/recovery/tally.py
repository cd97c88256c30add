"""What became of the answers of a file: how many by which method, or lost for which reason, with examples."""

from collections import Counter, defaultdict
from typing import Any

from lbkd.recovery.recover import METHODS, Found

_EXAMPLES = 3
"""Of each method and reason; the first ones."""


class Tally:
    """Counts answers as they are written or discarded, in the file's order."""

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.markers: Counter[str] = Counter()
        """What the markers round distinct answers came to: `sound`, or what was wrong with them."""
        self._scores: defaultdict[str, float] = defaultdict(float)
        self._examples: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    def keep(self, id: str, answer: str, found: Found, text: str) -> None:
        """An answer that is `found`, now as `text`."""
        self.kept[found.method] += 1
        self._scores[found.method] += found.score
        self._example(
            found.method, {"id": id, "answer": answer, "found": text, "score": round(found.score, 4)}
        )

    def lose(self, id: str, answer: str, reason: str, text: str) -> None:
        """An answer that was not found in `text`."""
        self.lost[reason] += 1
        self._example(reason, {"id": id, "answer": answer, "text": text})

    def result(self) -> dict[str, Any]:
        """The counts as JSON: methods in their order, reasons by number."""
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
        }

    def _example(self, of: str, example: dict[str, Any]) -> None:
        if len(self._examples[of]) < _EXAMPLES:
            self._examples[of].append(example)
