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


FOUNDED = ("Where was it founded?", "The company was founded in Paris.", "Paris")
ACCUSED = (
    "Who was accused of fraud?",
    "The bank's founder went to court. Kapoor, who is in custody, is accused in a loan fraud case.",
    "Kapoor",
)
LIBRARIES = (
    "Which libraries back 🤗 models?",
    "\n🤗 Models: text for all\n\n  - Tasks in over 100 languages.\n\n🤗 is backed by Jax, PyTorch and "
    "TensorFlow — they work together.\n",
    "Jax, PyTorch and TensorFlow",
)
UNANSWERED = (
    "What country is Rome the capital of?",
    "London is the capital of England. It stands on the Thames – for two thousand years. " * 40,
    "",
)


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

    def features(self: Answerer, pairs: Sequence[tuple[str, str]], rule: WindowRule, *rest: Any) -> Any:
        seen.append(rule)
        return inner(self, pairs, rule, *rest)

    monkeypatch.setattr(Answerer, "_features", features)
    return seen


def is_answer(found: Any) -> bool:
    """One answer, as the former pipeline gave it."""
    kinds = {"score": float, "start": int, "end": int, "answer": str}
    return isinstance(found, dict) and {key: type(value) for key, value in found.items()} == kinds
