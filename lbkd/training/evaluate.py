"""Scores of a model on the test split."""

from pathlib import Path
from typing import Any

from lbkd.evaluation.answers import answers_by_question
from lbkd.evaluation.metrics import score_predictions
from lbkd.models.load import load_span_model, trained
from lbkd.training import engine
from lbkd.training.project import Project, window_settings
from lbkd.workspace import folder_hash, read_json, write_json


def evaluate(project: Project, model: Path) -> list[dict[str, Any]]:
    """Score a run (or any model folder) on the test split; one row a language, passages and questions in it.

    Answers go to `eval/<split>.<language>.json` in the model's folder, the rows to `eval/<split>.json`. They
    are taken from there if nothing that they depend on has changed. A run is evaluated with the tokenizer and
    the window settings that it was trained with.

    Returns:
        Rows with `model`, `task`, `language`, `zero_shot` (the corpus has no training data in that language),
        `exact_match` and `f1` (percent), `questions`, and what the metric gives beside these.
    """
    folder, settings = trained(model)
    task = (read_json(model / "run.json") or {}).get("task", "")
    windows = window_settings(settings)
    corpus, how = project.settings.corpus, project.settings.evaluation
    ingredients = {
        "corpus": project.test_corpus.fingerprint(),
        "window settings": list(windows),
        "model": folder_hash(Path(folder)),
        "evaluation": how.model_dump(mode="json"),
    }
    place = model / "eval"
    former = engine.agree(read_json(place / f"{corpus.test}.json"))
    if former is not None and former["ingredients"] == ingredients:
        return list(former["rows"])
    network = load_span_model(folder, device=engine.device())
    features = project.test_features(folder, windows)
    rows = []
    for done, language in enumerate(features.languages, start=1):
        mine = answers_by_question(
            network,
            features,
            (language, language),
            lambda questions: questions[project.rank :: project.world],
            n_best=1,
            max_answer=how.max_answer,
            batch_tokens=how.batch_tokens,
        )
        found = {id_: decoded for part in engine.gathered(dict(mine)) for id_, decoded in part.items()}
        answers = {id_: decoded.answers[0].text for id_, decoded in found.items()}
        no_answer = (
            {id_: decoded.no_answer for id_, decoded in found.items()} if how.metric == "squad-v2" else None
        )
        golds = {
            question.id: [answer.text for answer in question.answers]
            for question in project.test_corpus.datasets[language].questions
        }
        score = score_predictions(golds, answers, how.metric, language, no_answer, no_answer_threshold=0.0)
        rows.append(
            {
                "model": model.name,
                "task": task,
                "language": language,
                "zero_shot": language not in corpus.languages,
                "exact_match": score.exact_match,
                "f1": score.f1,
                "questions": score.questions,
                **score.extras,
            }
        )
        if project.rank == 0:
            write_json(place / f"{corpus.test}.{language}.json", answers)
        project.listener.progress(f"{model.name} answers", done, len(features.languages), {})
    if project.rank == 0:
        write_json(place / f"{corpus.test}.json", {"ingredients": ingredients, "rows": rows})
    return rows
