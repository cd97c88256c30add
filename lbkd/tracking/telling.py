"""Trackers told of a run, so that none hears a number twice, and none ends a training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lbkd.config import Settings
from lbkd.distributed import group
from lbkd.progress import Listener
from lbkd.randomness import same_random_numbers
from lbkd.registry.errors import PluginError
from lbkd.trackers import TrackedRun, Tracker, registry
from lbkd.workspace import fingerprint, read_json, write_json

KEPT = "tracked.json"
"""File that tells what trackers call a run, and what they were told of it."""


def chosen(settings: Settings) -> tuple[str, ...]:
    """Names of the trackers; where the settings name none, TensorBoard's, if that is installed."""
    if settings.tracker.name is not None:
        return settings.tracker.name
    return ("tensorboard",) if find_spec("tensorboard") else ()


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found


def tracked_run(
    name: str, folder: Path, workspace: Path, provenance: Mapping[str, Any], versions: Mapping[str, str]
) -> TrackedRun:
    """What trackers are told of a run.

    Args:
        name: of the run.
        folder: for what trackers write beside the numbers of the run.
        workspace: folder that all runs share.
        provenance: all that the weights depend on, by name.
        versions: of packages.
    """
    return TrackedRun(name, folder, workspace, flat({**provenance, "versions": versions}))


def begun(tracker: Tracker, run: TrackedRun) -> str | None:
    """What `begin` returns.

    Raises:
        PluginError: neither a text nor None.
    """
    found: object = tracker.begin(run)
    if not (found is None or (isinstance(found, str) and found)):
        raise PluginError(
            f"{registry.described(tracker)}: `begin` returns {found!r}; needed is the run's identifier, a "
            "text, or None."
        )
    return found


@dataclass
class _Heard:
    """What a tracker has heard of a run."""

    id: str | None = None
    """Identifier of the run in the tool."""
    step: int = 0
    """Last optimizer step that the tracker was told of."""
    names: list[str] = field(default_factory=list)
    """Names of the numbers that the tracker was told at that step."""


class Tracking:
    """Tells trackers of one run; one that raises is told to the listener, and left out from then on.

    Args:
        settings: with the trackers' names and options.
        run: the run.
        kept: file that keeps what was told, for a run that goes on; another run's is passed over.
        listener: hears of trackers that fail.
    """

    def __init__(self, settings: Settings, run: TrackedRun, kept: Path, listener: Listener) -> None:
        self.run, self._kept, self._listener = run, kept, listener
        self._trackers: dict[str, Tracker] = {}
        content = read_json(kept) or {}
        former = content["trackers"] if content.get("run") == fingerprint(run.settings) else {}
        self._heard = {name: _Heard(**former.get(name, {})) for name in chosen(settings)}
        for name, heard in self._heard.items():
            with self._sparing(name, "`begin`"):
                tracker = registry.create(name, settings.tracker.options(name))
                found = begun(tracker, replace(run, id=heard.id))
                self._trackers[name] = tracker
                if found is None or found != heard.id:
                    self._heard[name] = _Heard(found)
        self._keep(kept)

    @property
    def last_step(self) -> int:
        """The last step that a tracker was told of."""
        return max((heard.step for heard in self._heard.values()), default=0)

    def log(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Tell trackers the numbers of an optimizer step that they have not heard; no texts."""
        told = False
        for name, tracker in list(self._trackers.items()):
            heard = self._heard[name]
            known = heard.names if step == heard.step else []
            new = {k: v for k, v in numbers.items() if isinstance(v, int | float) and k not in known}
            if step < heard.step or not new:
                continue
            with self._sparing(name, "`log`"):
                tracker.log(step, new)
                heard.step, heard.names, told = step, [*known, *new], True
        if told:
            self._keep(self._kept)

    def end(self, finished: bool) -> None:
        """Close the run in all trackers."""
        for name, tracker in list(self._trackers.items()):
            with self._sparing(name, "`end`"):
                tracker.end(finished)
        if finished:
            self._keep(self.run.folder / KEPT)

    @contextmanager
    def _sparing(self, name: str, what: str) -> Iterator[None]:
        """Tell an exception of a tracker, and leave it out from then on; random numbers stay the run's."""
        try:
            with same_random_numbers():
                yield
        except (Exception, SystemExit) as error:
            self._trackers.pop(name, None)
            reason = " ".join(str(error).split())[:300]
            self._listener.note(
                f"{self.run.name}: tracker {name!r} of {registry.origin(name)} is left out from here on, and "
                f"the run goes on, with all numbers in metrics.jsonl: {what} raised {type(error).__name__}: "
                f"{reason}"
            )

    def _keep(self, file: Path) -> None:
        """Write down what trackers that can take up a run have heard."""
        heard = {name: vars(each) for name, each in self._heard.items() if each.id is not None}
        if heard:
            write_json(file, {"run": fingerprint(self.run.settings), "trackers": heard})


@contextmanager
def tracked(settings: Settings, run: TrackedRun, kept: Path, listener: Listener) -> Iterator[Tracking | None]:
    """Tell trackers that a run begins, and how it ends; on rank 0, others get None. See `Tracking`."""
    if group.rank():
        yield None
        return
    tracking, finished = Tracking(settings, run, kept, listener), False
    try:
        yield tracking
        finished = True
    finally:
        tracking.end(finished)


def tell_scores(settings: Settings, run: TrackedRun, scores: Mapping[str, float], listener: Listener) -> None:
    """Tell trackers that can take up a finished run its scores, at a step after the last one."""
    kept = run.folder / KEPT
    content = read_json(kept)
    names = [name for name in chosen(settings) if content and name in content["trackers"]]
    if not names:
        return
    tracker = settings.tracker.model_copy(update={"name": tuple(names)})
    tracking = Tracking(settings.model_copy(update={"tracker": tracker}), run, kept, listener)
    tracking.log(tracking.last_step + 1, scores)
    tracking.end(True)
