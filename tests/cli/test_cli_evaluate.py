"""Scores of trained models, by `evaluate`, `predict` and `score` alike."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd.api.work import short_names
from lbkd.config import BUILTIN_CORPUS
from lbkd.inference import Answerer

pytestmark = pytest.mark.slow

LANGUAGES = ["en", "es", "hi"]


def test_evaluate(lbkd: Callable[..., Any], short: list[Any], student: Any, tiny_model_folder: Path) -> None:
    done = lbkd("evaluate", "baseline", "distill.combined.impurity", *short)
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == [
        "baseline",
        "distill.combined.impurity",
    ]
    rows = lbkd("evaluate", "distill.combined.impurity", *short, "--json").json
    assert rows == student.json["scores"]
    exact = ["--set", "evaluation.metric=mlqa"]
    rows = lbkd("evaluate", tiny_model_folder, *short, *exact, "--json").json
    assert [row["model"] for row in rows] == ["tiny"] * 3


def test_a_run_in_another_place_keeps_what_it_learnt(
    lbkd: Callable[..., Any], short: list[Any], baseline: Any, workspace: Path
) -> None:
    """Renamed and moved, asked with other languages: its present name, and the asterisk of its own corpus."""
    asked = ["evaluate", workspace / "runs" / "baseline", "moved/renamed", *short]
    shutil.copytree(workspace / "runs" / "baseline", "moved/renamed")
    asked[asked.index("en,es")] = "en"
    asked += ["--set", "corpus.zero_shot=es,hi"]
    rows = lbkd(*asked, "--json").json
    assert [(row["model"], row["language"], row["zero_shot"]) for row in rows] == [
        (name, language, language == "hi") for name in ("baseline", "renamed") for language in LANGUAGES
    ]
    assert [row["f1"] for row in rows[:3]] == [row["f1"] for row in rows[3:]]
    assert [line.split()[0] for line in lbkd(*asked).out.splitlines()[1:3]] == ["baseline", "renamed"]


def test_runs_of_one_name_have_a_line_each(
    lbkd: Callable[..., Any], short: list[Any], baseline: Any, workspace: Path
) -> None:
    for place in "ab":
        shutil.copytree(workspace / "runs" / "baseline", f"{place}/runs/baseline")
    lines = lbkd("evaluate", "a/runs/baseline", "b/runs/baseline", *short).out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["a/runs/baseline", "b/runs/baseline"]


def test_names_are_shortened_as_far_as_they_differ() -> None:
    folders = ["runs/a", "/x/runs/a", "runs/b", "c"]
    assert short_names([*map(Path, folders)]) == ["runs/a", "x/runs/a", "b", "c"]


def test_predict_answers_as_evaluate_did(
    lbkd: Callable[..., Any], wrote: Callable[..., Path], student: Any, workspace: Path
) -> None:
    run = workspace / "runs" / "distill.combined.impurity"
    for language in LANGUAGES:
        expected = json.loads((run / "eval" / f"test.{language}.json").read_text())
        data = json.loads((BUILTIN_CORPUS / f"test.{language}.json").read_text())
        asked = {
            question["id"]: {"question": question["question"], "context": paragraph["context"]}
            for article in data["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
            if question["id"] in expected
        }
        assert asked.keys() == expected.keys()
        found = Answerer(run)(list(asked.values()))
        assert dict(zip(asked, (answer["answer"] for answer in found), strict=True)) == expected
        file = wrote("asked.jsonl", "\n".join(map(json.dumps, asked.values())))
        done = lbkd("predict", "--model", run.name, "--workspace", workspace, "--file", file)
        assert [json.loads(line)["answers"][0]["answer"] for line in done.out.splitlines()] == [
            *expected.values()
        ]


def test_score_says_what_evaluate_said(lbkd: Callable[..., Any], student: Any, workspace: Path) -> None:
    answers = workspace / "runs" / "distill.combined.impurity" / "eval" / "test.en.json"
    scores = lbkd("score", BUILTIN_CORPUS / "test.en.json", answers, "--metric", "mlqa", "--json").json
    row = student.json["scores"][0]
    found = row["questions"]
    assert scores["f1"] * scores["questions"] == pytest.approx(row["f1"] * found)
    assert scores["missing"] == scores["questions"] - found


def test_without_test_files_there_are_no_scores(
    lbkd: Callable[..., Any], tiny_model_folder: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for language in ("en", "es"):
        source = BUILTIN_CORPUS / f"train.{language}.json"
        (corpus / source.name).write_bytes(source.read_bytes())
    done = lbkd(
        *["train", "--task", "branch-mrc", "--lang", "es", "--corpus", corpus, "--languages", "en,es"],
        *[
            "--model",
            tiny_model_folder,
            "--set",
            "corpus.limit=1",
            "--set",
            "training.max_steps=1",
            "--seed",
            7,
        ],
    )
    assert done.code == 0
    assert done.out == "model: lbkd-work/runs/branch-mrc.es.seed7/model\n"
    assert f"no scores: {corpus} has no test file in any language" in done.err


def test_a_language_without_test_file_costs_the_others_nothing(
    lbkd: Callable[..., Any], short: list[Any], baseline: Any, tmp_path: Path
) -> None:
    """Not even where it is the source."""
    corpus = tmp_path / "corpus"
    shutil.copytree(BUILTIN_CORPUS, corpus)
    expected = {row["language"]: row["f1"] for row in lbkd("evaluate", "baseline", *short, "--json").json}
    for lacking in ("es", "en"):
        (corpus / f"test.{lacking}.json").unlink()
        done = lbkd("evaluate", "baseline", *short, "--corpus", corpus, "--json")
        expected.pop(lacking)
        assert {row["language"]: row["f1"] for row in done.json} == expected
        assert f"there is no {corpus}/test.{lacking}.json" in done.err
    assert "no scores in en, es: " in done.err


@pytest.fixture
def xquad(tmp_path: Path) -> Path:
    """A data folder as a download leaves it, with the test passages that ship."""
    folder = tmp_path / "data" / "xquad"
    folder.mkdir(parents=True)
    for language in LANGUAGES:
        shutil.copy(BUILTIN_CORPUS / f"test.{language}.json", folder / f"xquad.{language}.json")
    return folder.parent


def test_a_benchmark(lbkd: Callable[..., Any], short: list[Any], baseline: Any, xquad: Path) -> None:
    asked = ["evaluate", "baseline", "--benchmark", "xquad", "--data", xquad, "--on", "en,es,hi", *short]
    rows = lbkd(*asked, "--json").json
    assert [(row["language"], row["zero_shot"], row["questions"]) for row in rows] == [
        ("en", False, 54),
        ("es", False, 54),
        ("hi", True, 54),
    ]
    matrix = lbkd(*asked, "--matrix", "--json").json
    assert [(row["language"], row["question_language"]) for row in matrix] == [
        (passage, question) for passage in LANGUAGES for question in LANGUAGES
    ]
    assert [row for row in matrix if row["language"] == row["question_language"]] == rows
    head, columns, *lines = lbkd(*asked, "--matrix").out.splitlines()
    assert head.strip() == "baseline: F1, passages down, questions across"
    assert columns.split() == ["en", "es", "hi", "mean"]
    for line, language in zip(lines, LANGUAGES, strict=True):
        name, *cells = line.split()
        f1 = [row["f1"] for row in matrix if row["language"] == language]
        assert (name, cells) == (language, [f"{value:.1f}" for value in [*f1, sum(f1) / 3]])
