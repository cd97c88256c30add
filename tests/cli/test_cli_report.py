import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import as_run

from lbkd.config import BUILTIN_CORPUS
from lbkd.reporting import report as reporting

pytest.importorskip("matplotlib", reason="needs the packages of the extra lbkd[report]")

CORPUS = {"languages": ["en"], "zero_shot": ["hi"], "limit": 2}


@pytest.fixture
def evaluated(lbkd: Callable[..., Any], tiny_model_folder: Path) -> list[dict[str, Any]]:
    """The scores of a run of the workspace in the current folder, which `lbkd evaluate` wrote."""
    as_run(tiny_model_folder, Path("lbkd-work/runs/tiny"), {"corpus": CORPUS}, corpus="another")
    options = ["--languages", "en", "--set", "corpus.zero_shot=hi", "--set", "corpus.limit=2", "--json"]
    lbkd("evaluate", "tiny", "--matrix", *options)
    rows: list[dict[str, Any]] = lbkd("evaluate", "tiny", *options).json
    return rows


def data(page: Path) -> Any:
    """The answers in a report."""
    text = page.read_text(encoding="utf-8").partition('<script type="application/json" id="data">')[2]
    return json.loads(text.partition("</script>")[0])


def test_report_on_what_evaluate_wrote(lbkd: Callable[..., Any], evaluated: list[dict[str, Any]]) -> None:
    """Each pair's F1 is the mean over the answers on the page, which hold it in whole percents."""
    done = lbkd("report", "--png", "plots", "--json")
    assert done.code == 0, done
    assert done.json["report"] == "report.html"
    assert {Path(path).name.partition("-")[0] for path in done.json["plots"]} == {"scores", "matrix"}
    assert all(Path(path).exists() for path in done.json["plots"])
    assert [lack.partition(";")[0] for lack in done.json["lacks"]["tiny"]] == [
        "no curves, since there is no metrics.jsonl.",
        "no reliability",
    ]
    found = data(Path("report.html"))
    f1 = {(row["language"], row["question_language"]): row["f1"] for row in evaluated}
    views = {
        (v["passage"], v["question"]): v["answers"]["tiny"] for v in found["views"] if v["set"] == "test"
    }
    assert f1.keys() == views.keys() == {("en", "en"), ("hi", "hi")}
    for pair, answers in views.items():
        assert sum(answer[1] for answer in answers) / len(answers) == pytest.approx(f1[pair], abs=0.5)
    assert [(v["passage"], v["question"]) for v in found["views"] if v["set"] != "test"] == [
        (passage, question) for passage in ("en", "hi") for question in ("en", "hi")
    ]
    source = json.loads((BUILTIN_CORPUS / "test.hi.json").read_text(encoding="utf-8"))
    assert (
        source["data"][0]["paragraphs"][0]["context"] in next(iter(found["texts"].values()))["hi"]["passages"]
    )


def test_report_in_words(lbkd: Callable[..., Any], evaluated: list[dict[str, Any]]) -> None:
    done = lbkd("report", "tiny", "--out", "here.html")
    assert done.out == "here.html: tiny; open it in a browser\n"
    assert "tiny: no curves, since there is no metrics.jsonl." in done.err


@pytest.mark.parametrize("arguments", [[], ["none"]])
def test_no_such_runs(refused: Callable[..., str], arguments: list[str]) -> None:
    message = refused("report", *arguments)
    assert "no finished run" in message if not arguments else "'none' is no run in" in message


def test_packages_that_are_missing(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "find_spec", lambda name: None if name == "matplotlib" else name)
    found = refused("report")
    assert found.endswith("error: a report needs packages (matplotlib): pip install 'lbkd[report]'")
