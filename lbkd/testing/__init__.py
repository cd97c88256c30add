"""For the tests of those who write components: what each kind must keep to, and small inputs made by hand.

The functions `check_…` try a component harder than a run does before it starts, on batches of all sizes and
sharpnesses, and raise an AssertionError with a sentence. They need no test runner.
"""

from lbkd.testing.by_hand import batch, context
from lbkd.testing.checks import (
    check_criterion,
    check_task,
    check_tracker,
    check_translator,
    check_weighting,
)

__all__ = [
    "batch",
    "check_criterion",
    "check_task",
    "check_tracker",
    "check_translator",
    "check_weighting",
    "context",
]
