import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import settings

from lbkd.config import BUILTIN_CORPUS
from lbkd.engine import meter
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.evaluate import evaluate
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.evaluation.selection import selection_set
from lbkd.models.load import load_span_model
from lbkd.planning.status import workspace_status
from lbkd.project import Project
from lbkd.training.run import Components
from lbkd.training.steps import train


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The corpus that ships; half of its English test passages are a dev split instead."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for language in ("en", "es"):
        shutil.copy(BUILTIN_CORPUS / f"train.{language}.json", folder)
        whole = json.loads((BUILTIN_CORPUS / f"test.{language}.json").read_text())
        articles = whole["data"]
        for split, part in (("dev", articles[::2]), ("test", articles[1::2])):
            (folder / f"{split}.{language}.json").write_text(json.dumps({**whole, "data": part}))
    return folder


WHOLE = {"corpus.limit": None}


def project(model: Path, corpus: Path, **over: Any) -> Project:
    quick = {
        "corpus.dir": str(corpus),
        "corpus.zero_shot": "",
        "training.epochs": 3,
        "training.select_on": "dev",
    }
    return Project(settings(model, corpus / "work", **{**quick, **over}))


def test_the_best_epoch_is_kept(
    tiny_model_folder: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three epochs, of which the second is made to be the best; the model is the second's."""
    monkeypatch.setattr(meter, "matmul_peak", lambda *_: 1e10)
    mine = project(tiny_model_folder, corpus)
    seen: list[dict[str, torch.Tensor]] = []

    def judge(weights: dict[str, torch.Tensor]) -> float:
        seen.append(weights)
        return [10.0, 30.0, 20.0][len(seen) - 1]

    monkeypatch.setattr("lbkd.training.steps.selector", lambda *_: judge)
    run = train(mine, Components("baseline"))
    kept = load_span_model(str(run / "model")).state_dict()
    assert len(seen) == 3
    assert all(torch.equal(kept[name], tensor) for name, tensor in seen[1].items())
    assert not all(torch.equal(kept[name], tensor) for name, tensor in seen[2].items())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    told = [(line["epoch"], line["selection_f1"]) for line in lines if "selection_f1" in line]
    assert told == [(1.0, 10.0), (2.0, 30.0), (3.0, 20.0)]


def test_f1_is_that_of_the_evaluation(
    tiny_model_folder: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the loop was told of the kept epoch, the evaluation of the saved model finds too."""
    monkeypatch.setattr(meter, "matmul_peak", lambda *_: 1e10)
    mine = project(tiny_model_folder, corpus)
    run = train(mine, Components("baseline"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    [row] = evaluate(mine, run, selection_set(mine, "dev"))
    assert row["f1"] == max(line["selection_f1"] for line in lines if "selection_f1" in line)
    assert "selection" in json.loads((run / "run.json").read_text())["provenance"]


def refused(project: Project, split: str) -> str:
    with pytest.raises(ConfigError) as caught:
        selection_set(project, split)
    return str(caught.value)


def test_a_test_set_does_not_select(tiny_model_folder: Path, corpus: Path) -> None:
    mine = project(tiny_model_folder, corpus, **WHOLE)
    assert isinstance(selection_set(mine, "dev"), EvaluationSet)
    assert isinstance(selection_set(mine, "train"), EvaluationSet)
    message = refused(mine, "test")
    assert "training.select_on = 'test': 27 of its questions are in the test set of the corpus" in message
    assert str(corpus / "test.en.json") in message


def test_a_test_question_under_another_id_is_found(tiny_model_folder: Path, corpus: Path) -> None:
    """One question of the test split among those of dev, with another id, case and spacing."""
    dev, test = (json.loads((corpus / f"{split}.en.json").read_text()) for split in ("dev", "test"))
    stolen = test["data"][0]
    for paragraph in stolen["paragraphs"]:
        paragraph["qas"] = paragraph["qas"][:1]
        paragraph["qas"][0] |= {"id": "new", "question": paragraph["qas"][0]["question"].upper() + " "}
    dev["data"].append({**stolen, "paragraphs": stolen["paragraphs"][:1]})
    (corpus / "dev.en.json").write_text(json.dumps(dev))
    assert "1 of its questions" in refused(project(tiny_model_folder, corpus, **WHOLE), "dev")


def test_a_downloaded_benchmark_is_a_test_set(tiny_model_folder: Path, corpus: Path, tmp_path: Path) -> None:
    """As XQuAD's questions are among those of SQuAD's dev split."""
    folder = tmp_path / "data" / "xquad"
    folder.mkdir(parents=True)
    shutil.copy(corpus / "dev.en.json", folder / "xquad.en.json")
    mine = project(tiny_model_folder, corpus, **WHOLE, **{"corpus.benchmarks": str(tmp_path / "data")})
    assert "27 of its questions are in the test set xquad" in refused(mine, "dev")


def test_the_limit_is_that_of_every_split(tiny_model_folder: Path, corpus: Path) -> None:
    few = selection_set(project(tiny_model_folder, corpus, **{"corpus.limit": 1}), "dev").corpus
    assert len(few.datasets["en"].passages) == 1
    assert (
        0
        < len(few.question_ids)
        < len(selection_set(project(tiny_model_folder, corpus), "dev").corpus.question_ids)
    )


def test_runs_that_select_and_runs_that_do_not_are_valid_beside_each_other(
    tiny_model_folder: Path, corpus: Path
) -> None:
    """The split's words are in the vocabulary that is cut for the one, and not for the other."""
    for task, more in (("baseline", {}), ("mix-mrc", {"training.select_on": None})):
        short = {"model.trim": 0, "training.max_steps": 1, "corpus.limit": 2, **more}
        train(project(tiny_model_folder, corpus, **short), Components(task))
    found = workspace_status(corpus / "work")
    assert [(each.name, each.status) for each in found] == [("baseline", "done"), ("mix-mrc", "done")]


def test_no_such_split(tiny_model_folder: Path, corpus: Path) -> None:
    with pytest.raises(DataError, match="devv.en.json"):
        selection_set(project(tiny_model_folder, corpus), "devv")
