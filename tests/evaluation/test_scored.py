import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from ranks import settings
from run_folders import as_run

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation import evaluate as module
from lbkd.evaluation import selection
from lbkd.evaluation.decode import Answer, Decoded
from lbkd.evaluation.evaluate import evaluate
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.evaluation.metrics import score_each
from lbkd.evaluation.scored import scored
from lbkd.models.run_card import write_run_card
from lbkd.project import Project

GOLDS = {"asked": ["Ann"], "unanswerable": []}


def decoded(no_answer: float) -> Decoded:
    return Decoded([Answer("Ann", 0, 3, 0.5)], no_answer)


FOUND = {"asked": decoded(-1.0), "unanswerable": decoded(2.0)}


def test_squad_v2_scores_no_answer_where_it_won() -> None:
    """Both questions are right: Ann, and no answer; with the text alone the second would be wrong."""
    answers, score = scored(FOUND, GOLDS, "squad-v2", "en")
    assert answers == {"asked": "Ann", "unanswerable": ""}
    assert (score.exact_match, score.f1) == (100.0, 100.0)
    each = score_each(GOLDS, answers, "squad-v2")
    assert [one.f1 for one in each.values()] == [1.0, 1.0]


def test_a_tie_is_answered() -> None:
    answers, score = scored({"unanswerable": decoded(0.0)}, {"unanswerable": []}, "squad-v2", "en")
    assert (answers, score.f1) == ({"unanswerable": "Ann"}, 0.0)


@pytest.mark.parametrize("metric", ["squad-v1", "mlqa"])
def test_other_metrics_always_answer(metric: str) -> None:
    answers, score = scored({"asked": decoded(9.0)}, {"asked": ["Ann"]}, metric, "en")
    assert (answers, score.f1) == ({"asked": "Ann"}, 100.0)


@pytest.fixture
def two_questions(tmp_path: Path) -> EvaluationSet:
    qas = [
        {"id": name, "question": "Who?", "answers": [{"text": text, "answer_start": 0} for text in texts]}
        | {"is_impossible": not texts}
        for name, texts in GOLDS.items()
    ]
    document = {
        "version": "v2.0",
        "data": [{"title": "", "paragraphs": [{"context": "Ann sang.", "qas": qas}]}],
    }
    (tmp_path / "two.json").write_text(json.dumps(document))
    corpus = ParallelCorpus.read({"en": tmp_path / "two.json"}, "en")
    return EvaluationSet("two", corpus, "squad-v2")


def test_evaluation_selection_and_answers_files_agree(
    two_questions: EvaluationSet,
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The decoder's results are given; F1 is 100 in all three places, where it was 100, 50 and 50."""
    for place in (module, selection):
        monkeypatch.setattr(place, "answers_by_question", lambda *_, **__: iter(FOUND.items()))
    project = Project(settings(tiny_model_folder, tmp_path))
    run = as_run(tiny_model_folder, tmp_path / "run", {"corpus": {"languages": ["en"]}})
    [row] = evaluate(project, run, two_questions)
    assert (row["exact_match"], row["f1"]) == (100.0, 100.0)

    answers = json.loads((run / two_questions.answers("en", "en")).read_text())
    assert answers == {"asked": "Ann", "unanswerable": ""}

    model: Any = torch.nn.Linear(1, 1)
    judge = selection.selector(project, two_questions, model)
    assert judge(model.state_dict()) == 100.0


@pytest.fixture
def answering(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Project, Path]:
    """A project and the folder of a run of it, to which the decoder's results are given."""
    monkeypatch.setattr(module, "answers_by_question", lambda *_, **__: iter(FOUND.items()))
    return Project(settings(tiny_model_folder, tmp_path)), as_run(tiny_model_folder, tmp_path / "run")


def test_the_card_has_the_scores_of_an_evaluation_that_was_killed_before_it(
    two_questions: EvaluationSet, answering: tuple[Project, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, run = answering
    write_run_card(run)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_run_card", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            evaluate(project, run, two_questions)
    card = run / "model" / "README.md"
    assert "| two |" not in card.read_text()
    evaluate(project, run, two_questions)
    assert "| two |" in card.read_text()


@pytest.mark.parametrize(("name", "old", "new"), [("two", "100.0", "10.0"), ("two.en", "Ann", "Amn")])
def test_files_that_were_altered_are_made_again(
    two_questions: EvaluationSet,
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    old: str,
    new: str,
) -> None:
    asked = []
    monkeypatch.setattr(
        module, "answers_by_question", lambda *_, **__: asked.append(1) or iter(FOUND.items())
    )
    project = Project(settings(tiny_model_folder, tmp_path))
    run = as_run(tiny_model_folder, tmp_path / "run")
    [before] = evaluate(project, run, two_questions)
    assert [before] == evaluate(project, run, two_questions)
    assert len(asked) == 1
    file = run / "eval" / f"{name}.json"
    sound = file.read_text()
    file.write_text(sound.replace(old, new))
    assert file.read_text() != sound
    assert [before] == evaluate(project, run, two_questions)
    assert file.read_text() == sound


def test_answers_of_former_scores_go_with_them(
    two_questions: EvaluationSet, answering: tuple[Project, Path]
) -> None:
    """A folder holds the answers of its scores: one language less leaves one file less."""
    project, run = answering
    place = next(iter(two_questions.corpus.datasets.values())).path
    both = ParallelCorpus.read({"en": place, "de": place}, "en")
    (run / "eval").mkdir()
    (run / "eval" / "mine.json").write_text("{}")
    evaluate(project, run, EvaluationSet("two", both, "squad-v2"))
    assert (run / "eval" / "two.de.json").exists()
    evaluate(project, run, two_questions)
    names = [path.name for path in (run / "eval").glob("*.json")]
    assert sorted(names) == ["mine.json", "two.en.json", "two.json"]
