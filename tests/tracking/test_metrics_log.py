import json
from contextlib import closing
from pathlib import Path

from lbkd.tracking.metrics_log import MetricsLog

LINES = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.5, "note": "text"}]


def test_a_line_a_step(tmp_path: Path) -> None:
    for folder in (tmp_path / "former", tmp_path / "new"):
        folder.mkdir()
    with closing(MetricsLog(tmp_path / "former")) as log:
        log.write(1, {"loss": 2.5})
        log.write(2, {"loss": 1.5, "note": "text"})
    with closing(MetricsLog(tmp_path / "new")) as again:
        again.repeat(log.path)
    for file in (log.path, again.path):
        assert [json.loads(line) for line in file.read_text().splitlines()] == LINES
        assert [path.name for path in file.parent.iterdir()] == ["metrics.jsonl"]
