"""`--track` and `[tracker]`: which tools hear of a run, and what is refused before the first step."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lbkd.settings import load_settings

KEEPER = """
from lbkd import Tracker, tracker_registry

@tracker_registry.register("keeper")
class Keeper(Tracker):
    def __init__(self, good: bool = True, lasts: int = 9) -> None:
        self.good, self.lasts = good, lasts

    def begin(self, run):
        if not self.good:
            raise ConnectionError("nobody there")
        self.made_up, self.file = run.made_up, run.workspace / "kept.txt"
        self.wrote("begin", run.name, run.id)
        return "7"

    def log(self, step, numbers):
        if step == self.lasts and not self.made_up:
            raise ConnectionError("gone")
        self.wrote(step, *sorted(numbers))

    def end(self, finished):
        self.wrote("end", finished)

    def wrote(self, *words):
        with self.file.open("a") as file:
            print(*words, file=file)
"""
PACE = ["learning_rate", "peak_share", "skipped_steps", "tokens_per_second"]


@pytest.fixture
def keeper(wrote: Callable[[str, Any], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("lbkd.trackers.registry._scripted", {})
    yield wrote("keeper.py", KEEPER)
    sys.modules.pop("lbkd_plugin_keeper", None)


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["--track", "mlfow"], ["no tracker 'mlfow'; did you mean 'mlflow'?"]),
        (["--track", "keeper", "--set", "tracker.keeper.fine=1"], ["no option 'tracker.keeper.fine'"]),
        (["--set", "tracker.uri=x"], ["options stand under their component's name", "tracker.mlflow.uri="]),
        (
            ["--track", "keeper", "--set", "tracker.keeper.good=false"],
            ["tracker 'keeper' of keeper.py: `begin` raised ConnectionError: nobody there"],
        ),
        (
            ["--track", "tensorboard"],
            ["tracker 'tensorboard' needs a package: pip install 'lbkd[tensorboard]'"],
        ),
    ],
)
def test_what_is_refused_before_the_first_step(
    more: list[str],
    parts: list[str],
    keeper: Path,
    refused: Callable[..., str],
    short: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lbkd.trackers.find_spec", lambda package: None)
    space = ["--workspace", "fresh"]
    message = refused("train", "--task", "baseline", "--plugin", keeper, *short, *space, *more)
    assert all(part in message for part in parts), message
    assert not list(Path("fresh").glob("runs/*"))


def test_a_recipe_chooses_no_tracker(refused: Callable[..., str], wrote: Callable[[str, Any], Path]) -> None:
    from lbkd.errors import ConfigError

    with pytest.raises(ConfigError, match=r"r.toml: tracker: a recipe must not set this; use --track"):
        load_settings({}, Path(), ("r.toml", {"tracker": {"mlflow": {"uri": "https://elsewhere"}}}))


@pytest.mark.slow
def test_a_tracked_run(keeper: Path, lbkd: Callable[..., Any], short: list[Any]) -> None:
    """The trial leaves nothing; a tracker that fails in the middle is told, and changes nothing."""
    options = ["--task", "baseline", *short, "--plugin", keeper, "--track", "keeper"]
    done = lbkd("train", *options, "--workspace", "one", "--json")
    assert done.code == 0 and done.json["scores"]
    numbers = " ".join(sorted(["epoch", "gradient_norm", "head_learning_rate", "loss", "nll", *PACE]))
    scores = " ".join(
        f"test/{score}/{language}" for score in ("exact_match", "f1") for language in ("en", "es", "hi")
    )
    assert Path("one/kept.txt").read_text().splitlines() == [
        *("begin baseline None", f"1 {numbers}", f"2 {numbers}", "end True"),
        *("begin baseline 7", f"3 {scores}", "end True"),
    ]
    assert not Path("one/runs/baseline/tensorboard").exists()
    done = lbkd("train", *options, "--workspace", "two", "--set", "tracker.keeper.lasts=2")
    assert done.code == 0
    assert done.err.count("tracker 'keeper' of keeper.py is left out from here on") == 2  # run and scores
    weights = [Path(name, "runs/baseline/model/model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
