"""What a tracker does: it opens a run, shows numbers, closes the run, and opens it again."""

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from lbkd.errors import ConfigError, LbkdError, reason_of
from lbkd.randomness import same_random_numbers
from lbkd.registry.errors import PluginError
from lbkd.trackers import TrackedRun, Tracker, registry
from lbkd.tracking.telling import begun

_SETTINGS = {"task.name": "distill", "training.learning_rate": 1e-5, "training.max_steps": None}
_NUMBERS = {"loss": 2.5, "test/f1/es": 50, "ca-mkd (b)": float("nan")}


def try_tracker(tracker: Tracker) -> None:
    """Let a tracker show a made-up run, which fails and then goes on to its end.

    Raises:
        ConfigError: a package that is missing, or options that do not fit.
        PluginError: it raises, prints, changes what it is given, or does not say what it calls the run.
    """
    who = registry.described(tracker)
    with _asked(tracker, "`check`"):
        tracker.check()
    with TemporaryDirectory(prefix="lbkd-check-") as place:
        folder = Path(place) / "runs" / "lbkd-check"
        folder.mkdir(parents=True)
        run, step = TrackedRun("lbkd-check", folder, Path(place), dict(_SETTINGS), made_up=True), 0
        for finished in (False, True):
            with _asked(tracker, "`begin`"):
                run = replace(run, id=begun(tracker, run))
            for _ in range(2):
                step, numbers = step + 1, dict(_NUMBERS)
                with _asked(tracker, "`log`"):
                    tracker.log(step, numbers)
                if [*numbers] != [*_NUMBERS] or run.settings != _SETTINGS:
                    raise PluginError(
                        f"{who} changes what it is given, which others read too; work on copies."
                    )
            with _asked(tracker, "`end`"):
                tracker.end(finished)


@contextmanager
def _asked(tracker: Tracker, what: str) -> Iterator[None]:
    """Refuse a block that raises or prints on standard output; random numbers stay the run's."""
    who = f"{registry.described(tracker)}: {what}"
    try:
        with same_random_numbers(), registry.told(tracker, what), redirect_stdout(StringIO()) as printed:
            yield
    except LbkdError:
        raise
    except Exception as error:  # of the tool that a tracker of ours serves
        raise ConfigError(f"{who} raised {type(error).__name__}: {reason_of(error)}") from error
    if text := printed.getvalue().strip():
        raise PluginError(
            f"{who} prints {text[:80]!r} on standard output, which is for results; use logging."
        )
