"""What trackers hear: each number once, and nothing that ends a training."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lbkd.config import Settings
from lbkd.progress import Silent
from lbkd.randomness import random_state, set_random_state
from lbkd.settings import load_settings
from lbkd.trackers import TrackedRun, Tracker, registry
from lbkd.tracking.telling import KEPT, Tracking, chosen, flat, tell_scores, tracked

HEARD: list[Any] = []


def heard(word: Any) -> None:
    HEARD.append(word)
    random.random(), np.random.rand(), torch.rand(1)


class Recorder(Tracker):
    """Keeps what it hears in `HEARD`, and draws random numbers at each word.

    Args:
        knows: it can take up a run.
        fails: the step that it does not survive.
    """

    def __init__(self, knows: bool = True, fails: int = 0) -> None:
        self.knows, self.fails = knows, fails

    def begin(self, run: TrackedRun) -> str | None:
        heard(f"begin {run.id}")
        return (run.id or "seven") if self.knows else None

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        if step == self.fails:
            raise ConnectionError("nobody there")
        heard((step, dict(numbers)))

    def end(self, finished: bool) -> None:
        heard(f"end {finished}")


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(autouse=True)
def recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    HEARD.clear()
    monkeypatch.setattr(registry, "_scripted", {"recorder": Recorder, "other": Recorder})


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / KEPT


def settings(folder: Path, **options: Any) -> Settings:
    given = {f"tracker.recorder.{name}": value for name, value in options.items()}
    return load_settings({"tracker.name": "recorder", **given}, folder)


def test_which_trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, names in (("recorder,other", ("recorder", "other")), ("", ()), (["other"], ("other",))):
        assert chosen(load_settings({"tracker.name": given}, tmp_path)) == names
    (tmp_path / "lbkd.toml").write_text("[tracker]\nname = ['recorder']\n[tracker.recorder]\nknows = false\n")
    found = load_settings({}, tmp_path)
    assert (chosen(found), found.tracker.options("recorder")) == (("recorder",), {"knows": False})
    for installed, default in ((None, ()), ("a spec", ("tensorboard",))):
        monkeypatch.setattr("lbkd.tracking.telling.find_spec", lambda name, it=installed: it)
        assert chosen(Settings()) == default


def test_settings_by_dotted_name() -> None:
    values = {"seed": 1, "task": {"name": "distill", "options": {"lang": None}}, "training.epochs": [2]}
    assert flat(values) == {
        "seed": 1,
        "task.name": "distill",
        "task.options.lang": None,
        "training.epochs": [2],
    }


def test_a_number_comes_once_a_step_and_texts_never(tmp_path: Path, run: TrackedRun, kept: Path) -> None:
    with tracked(settings(tmp_path), run, kept, Silent()) as tracking:
        assert tracking is not None
        tracking.log(1, {"loss": 2.5, "epoch": 0.5, "note": "text"})
        tracking.log(1, {"epoch": 0.5, "selection_f1": 40.0})
        tracking.log(2, {"note": "text"})
    assert HEARD == ["begin None", (1, {"loss": 2.5, "epoch": 0.5}), (1, {"selection_f1": 40.0}), "end True"]
    assert json.loads((run.folder / KEPT).read_text())["trackers"] == {
        "recorder": {"id": "seven", "step": 1, "names": ["loss", "epoch", "selection_f1"]}
    }


def test_random_numbers_are_those_of_a_run_without_trackers(
    tmp_path: Path, run: TrackedRun, kept: Path
) -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), torch.rand(1).item()

    state = random_state()
    without = [drawn() for _ in range(3)]
    set_random_state(state)
    tracking = Tracking(settings(tmp_path), run, kept, Silent())
    told = [drawn()]
    tracking.log(1, {"loss": 2.5})
    told.append(drawn())
    tracking.end(True)
    assert [*told, drawn()] == without
    assert HEARD == ["begin None", (1, {"loss": 2.5}), "end True"]


def test_a_run_that_goes_on_tells_what_is_new(tmp_path: Path, run: TrackedRun, kept: Path) -> None:
    """It was killed at step 3 after a number of that step, and goes on from the checkpoint of step 1."""
    tracking = Tracking(settings(tmp_path), run, kept, Silent())
    for step in (1, 2, 3):
        tracking.log(step, {"loss": step / 2})
    HEARD.clear()
    with tracked(settings(tmp_path), run, kept, Silent()) as tracking:
        assert tracking is not None
        for step in (1, 2, 3, 4):
            tracking.log(step, {"loss": step / 2})
            tracking.log(step, {"selection_f1": 40.0})
    assert HEARD == [
        "begin seven",
        (3, {"selection_f1": 40.0}),
        (4, {"loss": 2.0}),
        (4, {"selection_f1": 40.0}),
        "end True",
    ]


@pytest.mark.parametrize(("knows", "other"), [(False, False), (True, True)])
def test_all_is_told_anew_where_the_tool_or_the_run_is_another(
    knows: bool, other: bool, tmp_path: Path, run: TrackedRun, kept: Path
) -> None:
    Tracking(settings(tmp_path, knows=knows), run, kept, Silent()).log(3, {"loss": 1.5})
    HEARD.clear()
    if other:
        run = replace(run, settings={"training.learning_rate": 1e-3})
    Tracking(settings(tmp_path, knows=knows), run, kept, Silent()).log(1, {"loss": 2.5})
    assert HEARD == ["begin None", (1, {"loss": 2.5})]


def test_a_tracker_that_fails_is_told_once_and_the_others_go_on(
    tmp_path: Path, run: TrackedRun, kept: Path
) -> None:
    listener = Notes()
    how = load_settings({"tracker.name": "recorder,other", "tracker.recorder.fails": 2}, tmp_path)
    with pytest.raises(KeyboardInterrupt), tracked(how, run, kept, listener) as tracking:
        assert tracking is not None
        for step in (1, 2, 3):
            tracking.log(step, {"loss": 0.5})
        raise KeyboardInterrupt
    loss = {"loss": 0.5}
    assert ["begin None"] * 2 + [(1, loss), (1, loss), (2, loss), (3, loss), "end False"] == HEARD
    [note] = listener.notes
    assert note == (
        "student: tracker 'recorder' of the script's test_telling is left out from here on, and the run goes "
        "on, with all numbers in metrics.jsonl: `log` raised ConnectionError: nobody there"
    )
    HEARD.clear()
    Tracking(how, run, kept, listener).log(3, loss)  # taken up again, it hears what it missed
    assert [*["begin seven"] * 2, (3, loss)] == HEARD


def test_rank_0_alone_tracks(
    tmp_path: Path, run: TrackedRun, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbkd.tracking.telling.group.rank", lambda: 1)
    with tracked(settings(tmp_path), run, kept, Silent()) as tracking:
        assert tracking is None
    assert HEARD == []


def test_scores_come_after_the_last_step(tmp_path: Path, run: TrackedRun, kept: Path) -> None:
    with tracked(settings(tmp_path), run, kept, Silent()) as tracking:
        assert tracking is not None
        tracking.log(8, {"loss": 0.5})
    HEARD.clear()
    tell_scores(settings(tmp_path), run, {"test/f1/es": 50.0}, Silent())
    tell_scores(settings(tmp_path), run, {"xquad/f1/es": 40.0}, Silent())
    assert [
        *("begin seven", (9, {"test/f1/es": 50.0}), "end True"),
        *("begin seven", (10, {"xquad/f1/es": 40.0}), "end True"),
    ] == HEARD
    HEARD.clear()
    tell_scores(load_settings({"tracker.name": "other"}, tmp_path), run, {"test/f1/es": 50.0}, Silent())
    assert HEARD == []
