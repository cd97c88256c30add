"""Training, teaching and scoring on languages whose questions are their own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_runs import STUDENT, project, run_everything
from ranks import furthest
from safetensors.torch import load_file

from lbkd.config import BUILTIN_CORPUS
from lbkd.errors import DataError
from lbkd.evaluation.evaluation_set import own_test_set
from lbkd.planning.estimate import Estimator
from lbkd.planning.jobs import job_of
from lbkd.project import Project
from lbkd.reporting.explained import explained
from lbkd.training.run import Components, Run
from lbkd.training.schedule import Schedule


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of the corpus that ships, as if its Spanish and German questions were no translations."""
    folder = tmp_path_factory.mktemp("native")
    for split in ("train", "test"):
        for language in ("en", "es", "de"):
            document = json.loads((BUILTIN_CORPUS / f"{split}.{language}.json").read_text(encoding="utf-8"))
            for article in document["data"] if language != "en" else ():
                for paragraph in article["paragraphs"]:
                    for record in paragraph["qas"]:
                        record["id"] = f"{language}-{record['id']}"
            path = folder / f"{split}.{language}.json"
            path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return {"corpus.dir": str(folder), "corpus.native": "es,de"}


def pairs(where: Project, run: Run) -> dict[tuple[str, str], int]:
    """Languages of passage and question -> windows of an epoch."""
    features = where.train_features
    windows = features.windows(features.features(run.pairs))
    names = np.array(features.languages)
    both = zip(names[windows.passage_language], names[windows.question_language], strict=True)
    found: dict[tuple[str, str], int] = {}
    for pair in both:
        found[pair] = found.get(pair, 0) + 1
    return found


def test_the_pairs_of_each_task(corpus: dict[str, str], tiny_model_folder: Path, tmp_path: Path) -> None:
    where, _ = project(tiny_model_folder, tmp_path, **corpus)

    def run(task: str, *options: Any) -> Run:
        return Run.of(where, Components.from_settings(where.settings, task, *options))

    english, spanish = {("en", "en"): 6}, {("es", "es"): 6}
    assert pairs(where, run("baseline")) == pairs(where, run("branch-mrc", {"lang": "en"})) == english
    for task in (("branch-mrc", {"lang": "es"}), ("mix-mrc",), ("distill",)):
        assert pairs(where, run(*task)) == english | spanish
    jobs = [job_of(run(*task), True) for task in (("baseline",), ("mix-mrc",))]
    assert [cost.pairs for cost in Estimator(where).costs(jobs)] == [6, 12]
    one = where.altered(
        training=where.settings.training.model_copy(
            update={"question_languages_per_example": 1, "max_steps": None}
        )
    )
    assert len(Schedule(one.train_features, run("mix-mrc").pairs, one.settings).windows) == 12


def test_the_whole_way(corpus: dict[str, str], tiny_model_folder: Path, tmp_path: Path) -> None:
    where, notes = project(tiny_model_folder, tmp_path, **corpus)
    rows = run_everything(where)
    assert [(row["model"], row["language"], row["zero_shot"]) for row in rows] == [
        (model, language, language == "de")
        for model in ("baseline", "branch-mrc.en", "branch-mrc.es", STUDENT)
        for language in ("en", "es", "de")
    ]
    assert {(row["questions"], row["shared_questions"]) for row in rows} == {(rows[0]["questions"], 0)}
    weights = {
        name: load_file(tmp_path / "runs" / name / "model" / "model.safetensors")
        for name in ("baseline", "branch-mrc.en", "branch-mrc.es")
    }
    # Nothing asks about English passages but English questions: this teacher is the baseline.
    assert furthest(weights["baseline"], weights["branch-mrc.en"]) == 0
    assert furthest(weights["baseline"], weights["branch-mrc.es"]) > 0
    assert own_test_set(where).pairs == [("en", "en"), ("es", "es"), ("de", "de")]
    told = explained(where, STUDENT, 99)
    assert {row["language"]: row["windows"] for row in told.trust} == {"en": 6, "es": 6, "all": 12}
    assert {(each["passage_language"], each["question_language"]) for each in told.disputes} <= {
        ("en", "en"),
        ("es", "es"),
    }
    assert told.disputes and all(each["gold"] in each["passage"] for each in told.disputes)
    again, notes = project(tiny_model_folder, tmp_path, **corpus)
    assert run_everything(again) == rows
    assert not notes.worked


def test_without_the_setting_it_is_a_mistake(
    corpus: dict[str, str], tiny_model_folder: Path, tmp_path: Path
) -> None:
    where, _ = project(tiny_model_folder, tmp_path, **corpus | {"corpus.native": ""})
    with pytest.raises(DataError, match=r"No question ids shared with the source(.*\n){3}.*native=es,de "):
        run_everything(where)
    assert not list(tmp_path.glob("runs/*"))
