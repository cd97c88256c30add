"""What tests ask answerers."""

from collections.abc import Sequence
from typing import Any

import pytest

from lbkd.features.windows import WindowRule
from lbkd.inference import Answerer

KEYS = {"score", "start", "end", "answer"}


QUESTION = "Who built the wheel?"


PASSAGE = "  The wheel was built in 2002\nby engineers (from Scotland); ellos la construyeron.  "


LONG = " ".join(f"In {1500 + n} the engineer number {n} built wheel {n * 7}." for n in range(60))


def same(found: Any, expected: Any) -> bool:
    """Equal, but for the last digits of scores."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(same(f, e) for f, e in zip(found, expected, strict=True))
    return {**found, "score": 0} == {**expected, "score": 0} and found["score"] == pytest.approx(
        expected["score"], rel=1e-4
    )


def rule_seen(monkeypatch: pytest.MonkeyPatch) -> list[WindowRule]:
    """Collects the window rules that calls lead to."""
    seen: list[WindowRule] = []
    inner = Answerer._features

    def features(self: Answerer, asked: Sequence[tuple[str, str]], rule: WindowRule, *rest: Any) -> Any:
        seen.append(rule)
        return inner(self, asked, rule, *rest)

    monkeypatch.setattr(Answerer, "_features", features)
    return seen
