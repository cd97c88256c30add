"""A workspace of each version since 0.2, used by this one; `tests/workspaces/make.py` writes them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd import __version__
from lbkd.workspace import read_sealed, write_sealed

KEPT = sorted((Path(__file__).parents[1] / "workspaces").glob("[0-9]*"))
STUDENT = "distill.combined.impurity"


@pytest.fixture(params=KEPT, ids=lambda folder: folder.name)
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a workspace, in the current folder."""
    folder = shutil.copytree(request.param, tmp_path / "old")
    monkeypatch.chdir(folder)
    return folder / "work"


def status(lbkd: Callable[..., Any]) -> dict[str, tuple[str, str]]:
    rows = lbkd("status", "--json").json
    return {f"{row['kind']} {row['name']}": (row["status"], row["because"]) for row in rows}


def test_they_are_small() -> None:
    for folder in KEPT:
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 200 * 1024


def test_it_is_read(old: Path, lbkd: Callable[..., Any]) -> None:
    """Components may have other code since: then, and only then, a run is stale."""
    found = status(lbkd)
    names = "run baseline", "run branch-mrc.en", "run branch-mrc.es", f"run {STUDENT}"
    assert set(names) <= found.keys()
    for how, because in found.values():
        assert how == "done" or (how == "stale" and all("source" in each for each in because.split(", ")))
    before = json.loads((old / "results.json").read_text())
    rows = lbkd("evaluate", "baseline", STUDENT, "--json").json
    scores = {(row["model"], row["language"]): row["f1"] for row in before}
    for row in rows:
        assert row["f1"] == pytest.approx(scores[row["model"], row["language"]])
    asked = lbkd(
        "predict", "--model", STUDENT, "--question", "What?", "--passage", "Eva has two cats.", "--json"
    )
    assert asked.json
    pytest.importorskip("jinja2", reason="needs the extra lbkd[report]")
    assert lbkd("report").code == 0


def test_one_of_format_1(old: Path, lbkd: Callable[..., Any]) -> None:
    """The provenance of lbkd 0.1 had its version, and the numbers of ranks and micro-batches."""
    before = status(lbkd)
    path = old / "runs" / "baseline" / "run.json"
    content = read_sealed(path)
    assert content is not None
    provenance = {"ranks and micro-batches": [1, 1]}
    for name, part in content["provenance"].items():
        is_component = isinstance(part, dict) and part.get("package") == "lbkd"
        provenance[name] = {**part, "package": "lbkd 0.1.0"} if is_component else part
    del content["format"]
    write_sealed(path, {**content, "provenance": provenance})
    assert status(lbkd) == before


def test_one_of_a_later_format(old: Path, lbkd: Callable[..., Any]) -> None:
    path = old / "runs" / "baseline" / "run.json"
    content = read_sealed(path)
    assert content is not None
    write_sealed(path, {**content, "format": 9, "versions": {"lbkd": "7.0.0"}})
    how, because = status(lbkd)["run baseline"]
    assert how == "damaged"
    told = f"run.json: of a format that lbkd {__version__} does not read: lbkd 7.0.0 wrote it"
    assert told in because
