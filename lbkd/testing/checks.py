"""What a component of each kind must keep to, as assertions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lbkd.contracts.made_up import random_cases
from lbkd.contracts.tasks import check_label, check_teachers_are_used, checked_pairs, checked_teachers
from lbkd.contracts.trackers import try_tracker
from lbkd.contracts.translators import try_translator
from lbkd.contracts.trial import try_criterion, try_weighting
from lbkd.criterions import Criterion
from lbkd.criterions import registry as criterions
from lbkd.errors import LbkdError
from lbkd.tasks import Task
from lbkd.trackers import Tracker
from lbkd.translation import Translator
from lbkd.weighting import Weighting

_LANGUAGES = ("en", "es", "de")
_BATCHES = 20
"""Random batches, beside those of the trial before a run."""


def check_weighting(weighting: Weighting, teachers: Sequence[str] = _LANGUAGES) -> None:
    """Assert that weights are a distribution over the teachers, for each example by itself.

    They are finite, at least 0 and sum to 1, also for a single teacher and where all say the same; a
    permutation of the teachers permutes them (unless `fit` learns something); neither padding nor the other
    examples of a batch change them; arguments stay as they are. A copy learns from a made-up batch in `fit`.

    Args:
        weighting: a new instance, without random numbers where the last three are to be seen.
        teachers: K names, such as its options know.

    Raises:
        AssertionError: with what is wrong, and on which batch.
    """
    languages = tuple(dict.fromkeys((*teachers, "en")))
    with _asserted():
        try_weighting(weighting, languages, teachers, [*random_cases(languages, teachers, _BATCHES)])


def check_criterion(criterion: Criterion) -> None:
    """Assert that a loss and its gradient are finite, and that it is a mean over examples, without padding.

    Also for a single example, where student and teachers say the same, for logits of standard deviation 1000,
    and for labels anywhere. `masked`, where `needs_masks` asks for it, is finite for any number of tokens.

    Args:
        criterion: a new instance, without random numbers where padding and the mean are to be seen.

    Raises:
        AssertionError: with what is wrong, and on which batch.
    """
    with _asserted():
        try_criterion(criterion, [*random_cases(_LANGUAGES, _LANGUAGES, _BATCHES)])


def check_task(task: Task, languages: Sequence[str] = _LANGUAGES, source: str = "en") -> None:
    """Assert that pairs, teachers, label and criterion of a task fit together.

    Pairs are of the languages, each once; teachers have names of their own and tasks without teachers; the
    label can be a part of a folder's name; the criterion learns from teachers, and from masked tokens, where
    the task has some, and only there; and all is said alike when it is asked again.

    Args:
        task: a new instance.
        languages: with training data.
        source: the one that the dataset was written in.

    Raises:
        AssertionError: with what is wrong.
    """
    with _asserted():
        said = _said(task, languages, source)
        check_teachers_are_used(task, said["teachers"], task.criterion)
        needs = criterions.get(task.criterion).needs_masks
        assert needs == (said["masking"] is not None), (
            f"criterion {task.criterion!r} {'needs' if needs else 'does without'} masked tokens, and "
            f"`masking` returns {said['masking']}."
        )
        for what, again in _said(task, languages, source).items():
            assert again == said[what], f"`{what}` says {said[what]}, and then {again}."


def check_translator(translator: Translator, source: str = "en", target: str = "es") -> list[str]:
    """Assert that a translator gives a text for each text, and a fingerprint that is JSON and stays.

    Args:
        translator: a new instance.
        source: ISO 639 code of a language that it translates from; two English sentences are translated.
        target: ISO 639 code.

    Returns:
        The translations of "The bridge was built in 1820." and "Who built the bridge?".

    Raises:
        AssertionError: with what is wrong.
    """
    with _asserted():
        found = try_translator(translator, source, target)
        first, again = (translator.fingerprint(source, target) for _ in range(2))
        assert first == again, f"`fingerprint` is {first}, and then {again}: texts would be translated anew."
    return found


def check_tracker(tracker: Tracker) -> None:
    """Assert that a tracker shows a run that fails and then goes on to its end.

    It raises nothing, takes nan and whole numbers, prints nothing on standard output, changes nothing that it
    is given, leaves random numbers alone, and calls the run by a text or None.

    Args:
        tracker: a new instance; the run lies in a folder that is removed, and is marked as made up.

    Raises:
        AssertionError: with what is wrong.
    """
    with _asserted():
        try_tracker(tracker)


def _said(task: Task, languages: Sequence[str], source: str) -> dict[str, Any]:
    check_label(task)
    return {
        "label": task.label,
        "pairs": checked_pairs(task, languages, source),
        "teachers": checked_teachers(task, languages),
        "masking": task.masking(languages, source),
    }


@contextmanager
def _asserted() -> Iterator[None]:
    """Tell what is refused as a failed assertion."""
    try:
        yield
    except LbkdError as error:
        raise AssertionError(str(error)) from error
