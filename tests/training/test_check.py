import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ranks import settings
from run_folders import described

from lbkd.config import BUILTIN_CORPUS
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.evaluation_set import own_test_set
from lbkd.project import Project
from lbkd.training.check import check_model, check_run, checked_runs
from lbkd.training.run import Components

Changed = Callable[..., Project]


@pytest.fixture
def changed(tiny_model_folder: Path, tmp_path: Path) -> Changed:
    """The corpus that ships in English and Spanish, with one question of the test split changed."""

    def change(how: Callable[[dict[str, Any], dict[str, Any]], None], **over: Any) -> Project:
        folder = tmp_path / "corpus"
        folder.mkdir()
        for language in ("en", "es"):
            files = {name: BUILTIN_CORPUS / f"{name}.{language}.json" for name in ("train", "test")}
            train, test = (json.loads(files[name].read_text(encoding="utf-8")) for name in ("train", "test"))
            if language == "en":
                how(train, test)
            for name, document in (("train", train), ("test", test)):
                text = json.dumps(document, ensure_ascii=False)
                (folder / f"{name}.{language}.json").write_text(text, encoding="utf-8")
        options = {"corpus.dir": str(folder), "corpus.limit": None, **over}
        return Project(settings(tiny_model_folder, tmp_path / "work", **options))

    return change


def first(document: dict[str, Any]) -> dict[str, Any]:
    paragraph: dict[str, Any] = document["data"][0]["paragraphs"][0]
    return paragraph


def same_id(train: dict[str, Any], test: dict[str, Any]) -> None:
    first(test)["qas"][0]["id"] = first(train)["qas"][0]["id"]


def same_text(train: dict[str, Any], test: dict[str, Any]) -> None:
    """Case and white space differ; the id is another."""
    paragraph = first(train)
    question = {**paragraph["qas"][0], "id": "other", "question": paragraph["qas"][0]["question"].upper()}
    test["data"].append({"title": "", "paragraphs": [{"context": paragraph["context"], "qas": [question]}]})


def same_question_elsewhere(train: dict[str, Any], test: dict[str, Any]) -> None:
    """The wording of a training question, about another passage."""
    first(test)["qas"][0]["question"] = first(train)["qas"][0]["question"]


def unanswerable(train: dict[str, Any], test: dict[str, Any]) -> None:
    first(test)["qas"][0] |= {"answers": [], "is_impossible": True}


def nothing(train: dict[str, Any], test: dict[str, Any]) -> None:
    """Leave the files as they are."""


@pytest.mark.parametrize("how", [same_id, same_text])
def test_a_test_question_that_is_trained_on_is_refused(how: Any, changed: Changed) -> None:
    project = changed(how)
    with pytest.raises(ConfigError, match=r"^1 of the \d+ test questions \(test\) are trained on, such as '"):
        check_run(project)
    check_run(project.altered(corpus=project.settings.corpus.model_copy(update={"allow_overlap": True})))


@pytest.mark.parametrize("how", [nothing, same_question_elsewhere])
def test_other_questions_are_no_overlap(how: Any, changed: Changed) -> None:
    check_run(changed(how))


def test_training_and_test_files_that_are_one_are_refused(changed: Changed) -> None:
    project = changed(nothing, **{"corpus.test": "train"})
    with pytest.raises(ConfigError, match="126 of the 126 test questions"):
        check_run(project)


def test_a_metric_that_cannot_score_is_refused_before_the_training(changed: Changed, tmp_path: Path) -> None:
    project = changed(unanswerable)
    with pytest.raises(DataError, match="1 questions have no answer, such as .*'squad-v1' cannot score them"):
        checked_runs(project, Components("distill"))
    evaluation = project.settings.evaluation.model_copy(update={"metric": "squad-v2"})
    check_run(project.altered(evaluation=evaluation))
    assert not (tmp_path / "work" / "runs").exists()


def test_a_language_that_the_metric_does_not_know_is_refused(changed: Changed) -> None:
    project = changed(nothing, **{"evaluation.metric": "mlqa"})
    evaluation_set = own_test_set(project)
    data = evaluation_set.corpus.datasets["es"]
    evaluation_set.corpus.datasets["fr"] = data  # type: ignore[index]
    with pytest.raises(ConfigError, match="the metric 'mlqa' has no rules for the language 'fr'"):
        check_run(project, evaluation_set)


def test_a_finished_run_is_not_scored_on_its_training_questions(changed: Changed, tmp_path: Path) -> None:
    project = changed(nothing)
    how = project.settings.model_dump(mode="json")
    run = tmp_path / "run"
    described(how, corpus=project.train_corpus.fingerprint()).write(run)
    corpus = project.settings.corpus.model_copy(update={"test": "train"})
    on_training = own_test_set(Project(project.settings.model_copy(update={"corpus": corpus})))
    check_model(project, run, own_test_set(project), allow_overlap=False)
    check_model(project, run, on_training, allow_overlap=True)
    with pytest.raises(ConfigError, match="126 of the 126 test questions"):
        check_model(project, run, on_training, allow_overlap=False)
    elsewhere = {**how, "corpus": {**how["corpus"], "dir": "gone"}}
    described(elsewhere, corpus=project.train_corpus.fingerprint()).write(run)
    with pytest.raises(
        ConfigError, match="126 of the 126 test questions"
    ):  # the project's files are its texts
        check_model(project, run, on_training, allow_overlap=False)
    described(how, corpus="of other files").write(run)  # the training files were changed since
    with mock.patch.object(project.listener, "note") as told:
        check_model(project, run, on_training, allow_overlap=False)
    assert "whether it learned from questions of train is not known" in told.call_args.args[0]
