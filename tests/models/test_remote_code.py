"""Python code that comes with a model: run where the user asks for it, and nowhere else."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ranks import settings
from run_folders import as_run

from lbkd.errors import ConfigError
from lbkd.evaluation.evaluate import evaluate
from lbkd.inference import Answerer
from lbkd.models import load
from lbkd.models.trimming.trimmed import trim_to
from lbkd.project import Project

ASKED = {"question": "Who painted it?", "context": "Remedios Varo painted it in 1955."}
TRUSTING = {"model": {"trust_remote_code": True}}
"""Settings in a run.json, which must not be obeyed."""
CODE = """
from pathlib import Path
from transformers import BertConfig, BertForQuestionAnswering

Path({ran!r}).touch()

class RemoteConfig(BertConfig):
    model_type = "remote-bert"

class RemoteModel(BertForQuestionAnswering):
    config_class = RemoteConfig
"""


@pytest.fixture
def remote(tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model, with classes of its own; the code leaves a file `ran` beside the folder."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = shutil.copytree(tiny_model_folder, tmp_path / "remote")
    (folder / "remote.py").write_text(CODE.format(ran=str(tmp_path / "ran")))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "remote-bert", "architectures": ["RemoteModel"]}
    config["auto_map"] = {
        "AutoConfig": "remote.RemoteConfig",
        "AutoModelForQuestionAnswering": "remote.RemoteModel",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_an_answerer_runs_it_only_if_told(remote: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    for model in (remote, as_run(remote, tmp_path / "run", TRUSTING)):
        with pytest.raises(ConfigError, match=r"Python code of its own.*--set model\.trust_remote_code=true"):
            Answerer(model)
    assert not (tmp_path / "ran").exists()
    answer = Answerer(remote, trust_remote_code=True)(ASKED)
    assert (tmp_path / "ran").exists()
    assert answer == Answerer(tiny_model_folder)(ASKED)
    assert answer == Answerer(tmp_path / "run", trust_remote_code=True)(ASKED)


def test_trimming_runs_it_only_if_told(remote: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    texts = [*ASKED.values()]

    def trim(trust: bool) -> None:
        trim_to(str(remote), texts, 0, tmp_path / "small", lambda *_: None, trust=trust)

    with pytest.raises(ConfigError, match="Python code of its own"):
        trim(False)
    assert not (tmp_path / "ran").exists()
    trim(True)
    answer = Answerer(tmp_path / "small", trust_remote_code=True)(ASKED)
    assert answer == Answerer(tiny_model_folder)(ASKED)


def test_evaluation_runs_it_only_if_told(remote: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    run = as_run(remote, tmp_path / "run", TRUSTING)

    def project(**over: Any) -> Project:
        return Project(settings(tiny_model_folder, tmp_path / "work", **{"corpus.limit": 1}, **over))

    with pytest.raises(ConfigError, match="Python code of its own"):
        evaluate(project(), run)
    assert not (tmp_path / "ran").exists()
    rows = evaluate(project(**{"model.trust_remote_code": True}), run)
    plain = shutil.copytree(tiny_model_folder, tmp_path / "plain")
    assert [row["f1"] for row in rows] == [row["f1"] for row in evaluate(project(), plain)]


def test_the_settings_reach_every_load_of_a_run(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training, scoring by the teachers and evaluation, each with and without."""
    from lbkd.training.run import Components
    from lbkd.training.steps import run_all

    told: set[bool] = set()
    real = load._load

    def spy(kind: Any, name: str, trust: bool, **options: Any) -> Any:
        told.add(trust)
        return real(kind, name, trust, **options)

    monkeypatch.setattr(load, "_load", spy)
    monkeypatch.setattr("lbkd.engine.meter.matmul_peak", lambda *_: 1e10)
    for trust in (False, True):
        told.clear()
        over = {"corpus.limit": 1, "training.max_steps": 1, "model.trust_remote_code": trust}
        how = settings(tiny_model_folder, tmp_path / str(trust), **over)
        run_all(Project(how), Components.from_settings(how, "distill"))
        assert told == {trust}
