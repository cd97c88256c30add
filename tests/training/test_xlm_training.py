"""The whole way with a model that has language embeddings and a slow tokenizer."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from ranks import settings
from transformers import AutoModelForQuestionAnswering, XLMForQuestionAnsweringSimple

from lbkd.engine import meter
from lbkd.errors import ConfigError
from lbkd.evaluation.evaluate import evaluate
from lbkd.features.batches import collate
from lbkd.inference import Answerer
from lbkd.models.load import load_span_model
from lbkd.models.span import span_logits
from lbkd.project import Project
from lbkd.tasks import Teacher
from lbkd.training.run import Components
from lbkd.training.steps import cache_logits, train

QUICK = {"corpus.limit": 2, "corpus.zero_shot": "hi,ar", "training.log_every": 20}


@pytest.fixture(scope="module")
def project(tiny_xlm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    how = settings(tiny_xlm_folder, tmp_path_factory.mktemp("xlm"), **QUICK, **{"training.max_steps": 20})
    return Project(how)


@pytest.fixture(scope="module")
def student(project: Project) -> Path:
    """Two teachers of 20 steps, what they say, and their student, of 20 steps too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter, "matmul_peak", lambda *_: 1e10)
        return train(project, Components("distill"))


def test_teachers_and_student_learn(project: Project, student: Path, tiny_xlm_folder: Path) -> None:
    """Word vectors, language embeddings and head move; the speed is measured."""
    before = load_span_model(str(tiny_xlm_folder)).state_dict()
    for run in (*(project.run_folder("branch-mrc", code) for code in ("en", "es")), student):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [20]
        assert lines[0]["peak_share"] > 0
        after = load_span_model(str(run / "model")).state_dict()
        assert after.keys() == before.keys()
        moved = {name for name in after if not torch.equal(after[name], before[name])}
        assert {"transformer.embeddings.weight", "qa_outputs.weight"} <= moved
        rows = after["transformer.lang_embeddings.weight"] != before["transformer.lang_embeddings.weight"]
        # ar, de, en, es, hi, vi: those that were seen, and weight decay alone for the others
        assert rows.any(dim=1)[[2, 3]].all()


def test_teachers_scores_are_their_logits(project: Project, student: Path) -> None:
    features = project.train_features
    ids = features.features([("es", "en"), ("en", "es")])
    batch = collate(features, ids)
    assert batch.langs is not None and set(batch.langs.unique().tolist()) == {2, 3}
    teacher = load_span_model(str(project.run_folder("branch-mrc", "es") / "model")).eval()
    with torch.inference_mode():
        found = span_logits(teacher, batch)
    stored = cache_logits(project, Teacher("es", "branch-mrc", {"lang": "es"})).read(
        ids, batch.input_ids.shape[1]
    )
    for ours, theirs in zip(found, stored, strict=True):
        half = torch.from_numpy(theirs).float()
        assert torch.allclose(half[batch.mask], ours[batch.mask], rtol=2e-3, atol=2e-3)


def test_masked_phrases_beside(project: Project) -> None:
    """The paper's row mixMRC + LAKM: XLM's own head learns too, and is left out of what is saved."""
    run = train(project, Components("mix-mrc-lakm"))
    [line] = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert line["mlm"] > 0
    assert isinstance(load_span_model(str(run / "model")), XLMForQuestionAnsweringSimple)


def test_a_plain_hugging_face_model(project: Project, student: Path) -> None:
    plain = AutoModelForQuestionAnswering.from_pretrained(student / "model").eval()
    assert type(plain) is XLMForQuestionAnsweringSimple
    batch = collate(project.train_features, project.train_features.features([("es", "en")]))
    with torch.inference_mode():
        ours = span_logits(load_span_model(str(student / "model")).eval(), batch)
        theirs = plain(**batch.inputs())
    assert torch.equal(ours.start[batch.mask], theirs.start_logits[batch.mask])
    assert torch.equal(ours.end[batch.mask], theirs.end_logits[batch.mask])


def test_what_is_deployed_is_what_was_measured(project: Project, student: Path) -> None:
    """Every answer of the evaluation, given by the answerer that is told the languages."""
    rows = evaluate(project, student)
    assert [row["language"] for row in rows] == ["en", "es", "hi", "ar"]
    answerer = Answerer(student)
    for row in rows:
        data = project.test_corpus.datasets[row["language"]]
        asked = [{"question": q.text, "context": data.passages[q.passage]} for q in data.questions]
        found = answerer(asked, lang=row["language"])
        answers = {q.id: answer["answer"] for q, answer in zip(data.questions, found, strict=True)}
        file = student / "eval" / f"test.{row['language']}.json"
        assert json.loads(file.read_text(encoding="utf-8")) == answers


def test_frozen_word_vectors_and_a_quick_head(tiny_xlm_folder: Path, tmp_path: Path) -> None:
    over = {"training.freeze_embeddings": True, "training.max_steps": 2, "training.head_lr_multiplier": 20.0}
    run = train(Project(settings(tiny_xlm_folder, tmp_path, **QUICK, **over)), Components("baseline"))
    before = load_span_model(str(tiny_xlm_folder)).state_dict()
    after = load_span_model(str(run / "model")).state_dict()
    name = "transformer.embeddings.weight"
    assert torch.equal(after[name], before[name])
    moved = {
        part: float((after[f"{part}.weight"] - before[f"{part}.weight"]).abs().max())
        for part in ("qa_outputs", "transformer.attentions.0.q_lin")
    }
    assert moved["qa_outputs"] > 5 * moved["transformer.attentions.0.q_lin"] > 0


def test_a_language_that_the_model_lacks(tiny_xlm_folder: Path, tmp_path: Path) -> None:
    how = settings(tiny_xlm_folder, tmp_path, **QUICK)
    data = Path(how.corpus.dir)
    for code, source in (("en", "en"), ("fr", "es")):
        (tmp_path / f"train.{code}.json").write_bytes((data / f"train.{source}.json").read_bytes())
    over = {"corpus.dir": str(tmp_path), "corpus.languages": "en,fr"}
    with pytest.raises(
        ConfigError, match="'fr': the model does not know it; choices: ar, de, en, es, hi, vi"
    ):
        _ = Project(settings(tiny_xlm_folder, tmp_path, **QUICK, **over)).train_features


def test_teachers_that_number_languages_otherwise(
    project: Project, student: Path, tiny_xlm_folder: Path, tmp_path: Path
) -> None:
    """They score by their own numbers."""
    assert student.exists()
    workspace = shutil.copytree(project.settings.workspace, tmp_path / "work")
    other = shutil.copytree(tiny_xlm_folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["lang2id"] |= {"en": 3, "es": 2}
    (other / "config.json").write_text(json.dumps(config))
    files = [workspace / "logits" / "branch-mrc.es" / f"{half}.u12" for half in ("start", "end")]
    before = [file.read_bytes() for file in files]
    cache_logits(Project(settings(other, workspace, **QUICK)), Teacher("es", "branch-mrc", {"lang": "es"}))
    assert [file.read_bytes() for file in files] == before
    manifest = json.loads((files[0].parent / "manifest.json").read_text())
    assert "teacher's tokens" in manifest
