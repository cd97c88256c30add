import json
from contextlib import closing
from pathlib import Path

import pytest

from lbkd.training import metrics_log
from lbkd.training.metrics_log import MetricsLog


def write(folder: Path) -> list[dict[str, float]]:
    """Log two steps; the lines that were written."""
    with closing(MetricsLog(folder)) as log:
        log.write(1, {"loss": 2.5})
        log.write(2, {"loss": 1.5})
    return [json.loads(line) for line in log.path.read_text().splitlines()]


LINES = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.5}]


def test_with_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra lbkd[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert write(tmp_path) == LINES
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in board.Scalars("loss")] == [(1, 2.5), (2, 1.5)]


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_log, "find_spec", lambda name: None)
    assert write(tmp_path) == LINES
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
