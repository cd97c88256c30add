"""What each tool's own reader finds of a run that failed, went on, and was scored."""

import json
from pathlib import Path

import pytest
import torch

from lbkd.errors import ConfigError
from lbkd.trackers import TrackedRun, Tracker, registry

pytestmark = pytest.mark.filterwarnings("ignore")  # tools' own


def lived(tracker: Tracker, run: TrackedRun) -> str | None:
    """Let a run fail after two steps, and go on to its end; the identifier of both."""
    tracker.check()
    first = tracker.begin(run)
    tracker.log(1, {"loss": 2.5})
    tracker.log(2, {"loss": 1.5, "l1 (a+b)": 3})
    tracker.log(2, {"selection_f1": 40.0})
    tracker.end(False)
    second = tracker.begin(TrackedRun(**{**vars(run), "id": first}))
    assert second == first
    tracker.log(3, {"loss": 0.5})
    tracker.end(True)
    return first


def test_tensorboard(run: TrackedRun) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra lbkd[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert lived(registry.create("tensorboard"), run) is None
    board = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in board.Scalars("loss")] == [(1, 2.5), (2, 1.5), (3, 0.5)]


def test_mlflow(run: TrackedRun, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra lbkd[mlflow]")
    from mlflow import MlflowClient

    torch.manual_seed(1)
    state = torch.get_rng_state()
    name = lived(registry.create("mlflow", {"experiment": "ours"}), run)
    assert torch.equal(torch.get_rng_state(), state)
    client = MlflowClient(str(tmp_path / "mlruns"))
    experiment = client.get_experiment_by_name("ours")
    assert experiment is not None
    [found] = client.search_runs([experiment.experiment_id])
    assert (found.info.run_id, found.info.run_name, found.info.status) == (name, "student", "FINISHED")
    assert found.data.params == {k: str(v) for k, v in run.settings.items()}
    losses = client.get_metric_history(found.info.run_id, "loss")
    assert [(e.step, e.value) for e in losses] == [(1, 2.5), (2, 1.5), (3, 0.5)]
    assert found.data.metrics == {"loss": 0.5, "l1 _a_b_": 3.0, "selection_f1": 40.0}
    # a run that is gone from the tool begins anew
    tracker = registry.create("mlflow", {"uri": str(tmp_path / "other")})
    assert tracker.begin(TrackedRun(**{**vars(run), "id": name})) not in (None, name)
    tracker.end(False)


def test_wandb_offline(run: TrackedRun, tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="needs the extra lbkd[wandb]")
    from wandb_files import ended, history, records

    name = lived(registry.create("wandb", {"mode": "offline", "project": "ours"}), run)
    first, second = sorted(
        (tmp_path / "wandb").glob(f"offline-run-*/run-{name}.wandb"), key=lambda f: f.stat().st_mtime
    )
    assert ended(second)
    assert history(first) == [
        {"_step": 1, "loss": 2.5},
        {"_step": 2, "loss": 1.5, "l1 (a+b)": 3, "selection_f1": 40.0},
    ]
    assert history(second) == [{"_step": 3, "loss": 0.5}]
    [about] = [record.run for record in records(first) if record.HasField("run")][:1]
    assert (about.run_id, about.display_name, about.project) == (name, "student", "ours")
    config = {
        item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in about.config.update
    }
    assert config.items() >= {"task.name": "distill", "training.learning_rate": 1e-5}.items()
    exits = [[r.exit.exit_code for r in records(file) if r.HasField("exit")] for file in (first, second)]
    assert exits == [[1], [0]]


def test_wandb_asks_for_a_login_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("wandb", reason="needs the extra lbkd[wandb]")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"nobody is logged in.*--set tracker.wandb.mode=offline"):
        registry.create("wandb").check()


def test_wandb_tells_a_login_that_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="needs the extra lbkd[wandb]")

    def login(prompt: bool) -> bool:
        raise wandb.errors.AuthenticationError("Invalid API key")

    monkeypatch.setattr(wandb, "login", login)
    with pytest.raises(ConfigError, match=r"tracker.wandb: Invalid API key. Run `wandb login`"):
        registry.create("wandb").check()


def test_mlflow_refuses_a_place_that_is_none() -> None:
    pytest.importorskip("mlflow", reason="needs the extra lbkd[mlflow]")
    with pytest.raises(ConfigError, match=r"tracker.mlflow.uri = 'ftp://here'"):
        registry.create("mlflow", {"uri": "ftp://here"}).check()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_is_refused_with_the_line_that_mends_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbkd.trackers.find_spec", lambda package: None)
    with pytest.raises(ConfigError, match=rf"tracker '{name}' needs a package: pip install 'lbkd\[{name}\]'"):
        registry.create(name).check()
