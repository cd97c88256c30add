import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import as_run

from lbkd.config import BUILTIN_CORPUS


@pytest.fixture
def options(tiny_model_folder: Path) -> list[Any]:
    """A run in the workspace, and a corpus whose dev split is Spanish and whose test split is English."""
    as_run(tiny_model_folder, Path("lbkd-work/runs/tiny"), {"corpus": {"dir": "elsewhere"}})
    Path("corpus").mkdir()
    content = json.loads((BUILTIN_CORPUS / "test.es.json").read_text(encoding="utf-8"))
    half = len(content["data"]) // 2
    for name, articles in (("dev.es", content["data"][:half]), ("test.es", content["data"][half:])):
        Path(f"corpus/{name}.json").write_text(json.dumps({**content, "data": articles}), encoding="utf-8")
    return ["calibrate", "tiny", "--corpus", "corpus", "--languages", "es", "--source", "es"]


def test_table_and_json(lbkd: Callable[..., Any], options: list[Any]) -> None:
    done = lbkd(*options, "--measure-on", "test")
    assert done.code == 0, done
    head, row, *_ = done.out.splitlines()
    assert head.split()[:4] == ["language", "questions", "temperature", "ECE"]
    assert row.split()[0] == "es"
    assert "fitted on dev (squad-v1)" in done.out
    kept = json.loads(Path("lbkd-work/runs/tiny/calibration.json").read_text(encoding="utf-8"))
    assert kept["measures"][0]["on"] == "test"
    found = lbkd(*options, "--measure-on", "test", "--json").json
    assert found == {name: value for name, value in kept.items() if name != "checksum"}
    asked = ["predict", "--model", "tiny", "--question", "¿Quién?", "--passage", "Lo hizo Ana.", "--json"]
    best = lbkd(*asked, "--top-k", 1).json[0]
    silent = lbkd(*asked, "--top-k", 1, "--min-score", 1).json
    assert silent == [{"score": best["score"], "start": 0, "end": 0, "answer": ""}]


def test_test_questions_are_refused(refused: Callable[..., str], options: list[Any]) -> None:
    assert "split 'test': models are tested on it" in refused(*options, "--split", "test")
    assert "xquad has test questions alone" in refused(*options, "--benchmark", "xquad")
    message = refused(*options, "--set", "corpus.test=valid", "--split", "dev", "--measure-on", "dev")
    assert "dev" in message
