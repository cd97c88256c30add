"""Runs with trackers: real tools, beside runs without."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from checkpointed import STEPS, Notes, check_same_run, go, logged
from ranks import settings

from lbkd.config import Settings
from lbkd.evaluation.evaluate import evaluate
from lbkd.project import Project
from lbkd.training import loop
from lbkd.workspace import read_json

QUICK = STEPS | {"training.max_steps": 4}


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_in_the_same_run_of_mlflow(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("mlflow", reason="needs the extra lbkd[mlflow]")
    from mlflow import MlflowClient

    def made(name: str, trackers: str) -> tuple[Settings, Path]:
        how = settings(tiny_model_folder, tmp_path / name, **QUICK | {"tracker.name": trackers})
        return how, how.workspace / "runs" / "mix-mrc"

    def found(how: Settings) -> Any:
        [run] = client.search_runs([client.get_experiment_by_name("lbkd").experiment_id])
        return run

    how, run = made("tracked", "mlflow")
    go(how, dies_after=1)
    client: Any = MlflowClient(str(how.workspace / "mlruns"))
    assert found(how).info.status == "FAILED"
    with mock.patch.object(loop.Checkpoints, "after_step"):
        go(how, dies_after=2)  # steps 2 and 3 are told, and lost
    go(how)
    tracked = found(how)
    assert (tracked.info.status, tracked.info.run_name) == ("FINISHED", "mix-mrc")
    losses = [(each.step, each.value) for each in client.get_metric_history(tracked.info.run_id, "loss")]
    assert losses == [(line["step"], line["loss"]) for line in logged(run)]
    about = read_json(run / "run.json")
    assert tracked.data.params["training.learning_rate"] == "0.001"
    assert tracked.data.params["task.name"] == "mix-mrc"
    assert tracked.data.params["versions.torch"] == about["versions"]["torch"]

    rows = evaluate(Project(how, Notes()), run)
    told = {f"test/f1/{row['language']}": row["f1"] for row in rows}
    scored = found(how).data.metrics
    assert told and {name: scored[name] for name in told} == told
    assert [each.step for each in client.get_metric_history(tracked.info.run_id, "test/f1/es")] == [5]
    evaluate(Project(how, Notes()), run)  # from the files
    assert len(client.get_metric_history(tracked.info.run_id, "test/f1/es")) == 1

    without, other = made("plain", "")
    go(without)
    check_same_run(run, other)
    assert about["provenance"] == read_json(other / "run.json")["provenance"]
    assert not list(other.glob("t*"))  # neither tensorboard nor tracked.json
    again, _ = made("tracked", "tensorboard")
    assert "still valid" in go(again)[0]


def test_tensorboard_holds_the_numbers_of_all_steps(tiny_model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra lbkd[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    how = settings(tiny_model_folder, tmp_path, **QUICK)
    go(how, dies_after=2)
    go(how)
    run = tmp_path / "runs" / "mix-mrc"
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    lines = logged(run)
    assert set(board.Tags()["scalars"]) >= lines[0].keys() - {"step"}
    for name in lines[0].keys() - {"step"}:
        shown = [(event.step, event.value) for event in board.Scalars(name)]
        assert shown == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in lines]
