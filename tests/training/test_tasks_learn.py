"""Every task that ships, for 20 steps on the corpus that ships."""

import json
from pathlib import Path

import pytest
from ranks import settings

from lbkd import tasks
from lbkd.engine import meter
from lbkd.models.load import load_span_model
from lbkd.project import Project
from lbkd.training.run import Components
from lbkd.training.steps import train

BUILT_IN = [name for name in tasks.registry.names() if tasks.registry.origin(name) == "lbkd"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_twenty_steps(
    name: str, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "matmul_peak", lambda *_: 1e10)
    project = Project(settings(tiny_model_folder, tmp_path, **{"training.max_steps": 20, "corpus.limit": 6}))
    takes_lang = any(option.name == "lang" for option in tasks.registry.options(name))
    run = train(project, Components(name, {"lang": "es"} if takes_lang else {}))
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 20
    assert sum(losses[-5:]) < sum(losses[:5])
    load_span_model(str(run / "model"))
