"""What `lbkd.testing` tells of wrong components: what the trial tells, and what more batches show."""

from pathlib import Path
from typing import Any

import pytest
from wrong_plugins import GOOD, WRONG
from wrong_sources import HEAD, checked, task, translator, weighting

from lbkd.registry import KINDS, registry_of
from lbkd.registry.files import load_plugin
from lbkd.testing import check_criterion, check_task, check_tracker, check_translator, check_weighting

CHECKS: dict[str, Any] = {
    "weighting": check_weighting,
    "criterion": check_criterion,
    "task": check_task,
    "translation": check_translator,
    "tracker": check_tracker,
}
NO_INSTANCE = {
    *("a constructor that fails", "a type that names nothing", "a syntax error", "nothing registered"),
    *("a built-in's name", "a path for a name", "without its method", "a tracker without an end"),
}
"""Mistakes that leave nothing to be checked."""
STEP = """
    def step(self):
        self.n = -self.n
        return -self.n
"""
FINGERPRINT = """
    def fingerprint(self, source, target):
        import time
        return {"at": time.perf_counter_ns()}
"""
RARE = {
    "the token behind the label, which may be the last": (
        "weighting",
        weighting(
            "behind = (context.gold + 1)[None, :, None].expand(len(logits), -1, 1)\n"
            "        p = logits.softmax(-1).gather(-1, behind)[..., 0] + 1e-6; return p / p.sum(0)"
        ),
        "`weights` raised RuntimeError: index ",
    ),
    "pairs that come in another order each time": (
        "task",
        task("self.once[::self.step()]", "    once, n = [('en', 'en'), ('es', 'es')], 1\n" + STEP),
        "`pairs` says [('en', 'en'), ('es', 'es')], and then [('es', 'es'), ('en', 'en')].",
    ),
    "a fingerprint that tells the time": (
        "translation",
        translator("return texts", FINGERPRINT),
        "texts would be translated anew",
    ),
}
"""Mistakes that the trial before a run does not see."""


def made(source: str, kind: str, folder: Path) -> Any:
    """The component `mine` of a plugin file."""
    file = folder / "wrong.py"
    file.write_text(HEAD + source)
    load_plugin(file)
    return registry_of(kind).create("mine")


def test_each_kind_has_a_check() -> None:
    assert CHECKS.keys() == KINDS.keys()


@pytest.mark.parametrize("mistake", [mistake for mistake in WRONG if mistake not in NO_INSTANCE])
def test_mistakes_are_told_as_by_the_trial(mistake: str, tmp_path: Path) -> None:
    kind, source, told = WRONG[mistake]
    with pytest.raises(AssertionError) as raised:
        CHECKS[kind](made(source, kind, tmp_path))
    assert all(part in str(raised.value) for part in told)


@pytest.mark.parametrize(("kind", "source", "told"), RARE.values(), ids=RARE)
def test_what_more_batches_show(kind: str, source: str, told: str, tmp_path: Path) -> None:
    checked(source, tmp_path, kind)
    with pytest.raises(AssertionError) as raised:
        CHECKS[kind](registry_of(kind).create("mine"))
    assert told in str(raised.value)


def test_masked_tokens_for_a_criterion_that_takes_none(tmp_path: Path) -> None:
    source = task(GOOD, "    def masking(self, languages, source):\n        return 'phrases'")
    told = "criterion 'nll' does without masked tokens, and `masking` returns phrases"
    with pytest.raises(AssertionError, match=told):
        check_task(made(source, "task", tmp_path))
