"""Teachers that are finished readers from elsewhere, or that read other tokens than the student."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finished_runs import MODELS, STUDENT, Notes, files, project
from run_folders import as_run
from safetensors.torch import load_file, save_file

from lbkd.config import BUILTIN_CORPUS
from lbkd.errors import ConfigError, DataError
from lbkd.features.batches import collate
from lbkd.models.load import load_span_model
from lbkd.planning.jobs import jobs_of
from lbkd.planning.status import workspace_status
from lbkd.project import Project
from lbkd.tasks import Teacher
from lbkd.training.check import checked_run, checked_runs
from lbkd.training.run import Components, Run
from lbkd.training.steps import cache_logits, run_all, train_run
from lbkd.training.teacher_logits import TeacherLogits
from lbkd.weighting import registry as weightings


@pytest.fixture
def reader(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A reader that reads the student's tokens, with weights of its own."""
    folder = shutil.copytree(tiny_model_folder, tmp_path / "my-reader")
    rewrite(folder, lambda weights: weights | {"qa_outputs.bias": torch.tensor([0.5, -0.5])})
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, {"format": "pt"})


def student(*teachers: str, **more: Any) -> Components:
    return Components("distill", {"teachers": list(teachers)}, **more)


def told(workspace: Path) -> dict[tuple[str, str], tuple[str, str]]:
    return {(each.kind, each.name): (each.status, each.because) for each in workspace_status(workspace)}


def stored(where: Project, *teachers: Teacher) -> list[tuple[np.ndarray, np.ndarray]]:
    found = [cache_logits(where, teacher) for teacher in teachers]
    return [store.read(store.features, int(store.lengths.max())) for store in found]


def test_a_reader_teaches_beside_a_branch(copy: Path, tiny_model_folder: Path, reader: Path) -> None:
    """It is not trained; the branch teacher is taken as it is."""
    before = files(copy / "runs")
    whole, notes = project(tiny_model_folder, copy)
    run = checked_run(whole, student("en", f"es={reader}"))
    folder = train_run(run)
    assert folder.name == "distill.combined.impurity.en+es=my-reader"
    assert notes.worked == {folder.name, "es=my-reader scores"}
    assert {path: was for path, was in files(copy / "runs").items() if path in before} == before
    about = json.loads((folder / "run.json").read_text())["provenance"]
    assert about["task"]["options"]["teachers"] == ["en", "es"]
    assert about["teacher en"] != about["teacher es"]


def test_equal_content_is_the_same_teacher(
    copy: Path, tiny_model_folder: Path, reader: Path, tmp_path: Path
) -> None:
    """Wherever it lies; another model of the same name is another teacher, and nothing is replaced."""
    whole, _ = project(tiny_model_folder, copy)
    train_run(checked_run(whole, student(f"es={reader}")))
    moved = shutil.copytree(reader, tmp_path / "elsewhere" / "my-reader")
    (moved / "README.md").write_text("Moved.")
    again, notes = project(tiny_model_folder, copy)
    train_run(checked_run(again, student(f"es={moved}")))
    assert not notes.worked
    rewrite(moved, lambda weights: weights | {"qa_outputs.bias": torch.tensor([1.0, 1.0])})
    with pytest.raises(ConfigError, match="holds a finished run with another teacher es. Train it anew"):
        checked_run(again, student(f"es={moved}"))
    other, notes = project(tiny_model_folder, copy)
    train_run(checked_run(other, student(f"es={moved}"), "other"))
    assert any("es=my-reader: computed again, since teacher weights changed" in note for note in notes.notes)


@pytest.mark.parametrize("inner", ["", "model"])
def test_a_run_teaches_from_outside_as_it_does_from_inside(
    inner: str, copy: Path, tiny_model_folder: Path, done: tuple[Path, list[dict[str, Any]], Notes]
) -> None:
    """A run folder of another workspace, or the model in it: the very logits of the branch teacher."""
    whole, _ = project(tiny_model_folder, copy)
    elsewhere = done[0] / "runs" / "branch-mrc.es" / inner
    teachers = Teacher("es", "branch-mrc", {"lang": "es"}), Teacher("es", model=str(elsewhere))
    inside, outside = stored(whole, *teachers)
    assert np.array_equal(inside, outside)
    assert teachers[1].label == ("es=branch-mrc.es")


def test_a_run_of_the_workspace_is_named(copy: Path, tiny_model_folder: Path) -> None:
    """As everywhere; but not one that the command itself trains."""
    whole, _ = project(tiny_model_folder, copy)
    run = checked_run(whole, student("old=baseline"))
    assert run.readers["old"].place == str(copy / "runs" / "baseline")
    over = {"task.distill.teachers": ["old=baseline"]}
    everything, _ = project(tiny_model_folder, copy, **over)
    with pytest.raises(ConfigError, match=r"teacher 'old' \(baseline\): this command trains .*runs/baseline"):
        checked_runs(everything, Components.from_settings(everything.settings, "distill"))


def test_a_reader_of_the_hub_counts_by_its_commit(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    place, first, second = tmp_path / "models--someone--tiny", "1" * 40, "2" * 40
    (place / "refs").mkdir(parents=True)
    for name, commit in (("v1", first), ("main", second)):
        shutil.copytree(tiny_model_folder, place / "snapshots" / commit)
        (place / "refs" / name).write_text(commit)
    whole, _ = project(tiny_model_folder, tmp_path / "work")
    run = checked_run(whole, student("es=someone/tiny", "old=someone/tiny@v1"))
    assert run.name == "distill.combined.impurity.es=tiny+old=tiny"
    contents = run.requested["teacher es"], run.requested["teacher old"]
    assert contents == (f"someone/tiny@{second}", f"someone/tiny@{first}")
    assert run.readers["old"].as_teacher().folder == f"someone/tiny@{first}"


def without_head(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))


def head_lost(folder: Path) -> None:
    rewrite(folder, lambda weights: {k: w for k, w in weights.items() if k != "qa_outputs.weight"})


def not_finite(folder: Path) -> None:
    rewrite(folder, lambda weights: weights | {"qa_outputs.bias": torch.tensor([0.0, torch.inf])})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "no usable folder or hub model"),
        (without_head, "has no head for start and end .* cannot teach. Name a reader"),
        (head_lost, "its weights lack 1 tensors of a BertForQuestionAnswering, such as qa_outputs.weight"),
        (not_finite, "the weights qa_outputs.bias are not all finite numbers"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no usable folder|there is no vocabulary"),
    ],
)
def test_a_reader_that_cannot_teach_is_refused_before_the_first_step(
    damage: Callable[[Path], None], message: str, tiny_model_folder: Path, reader: Path, tmp_path: Path
) -> None:
    damage(reader)
    empty, notes = project(tiny_model_folder, tmp_path / "work")
    with pytest.raises(ConfigError, match=rf"teacher 'es' \(.*my-reader\): .*{message}"):
        checked_run(empty, student("en", f"es={reader}"))
    assert not notes.worked


def test_a_damaged_run_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = as_run(tiny_model_folder, tmp_path / "run", tokenizer="another")
    (folder / "model" / "config.json").write_text("{}")
    whole, _ = project(tiny_model_folder, tmp_path / "work")
    for place in (folder, folder / "model"):
        with pytest.raises(DataError, match=r"teacher 'es' .*model/config.json is missing or damaged"):
            checked_run(whole, student(f"es={place}"))


def test_a_reader_of_other_languages_is_refused(
    tiny_model_folder: Path, tiny_xlm_folder: Path, tmp_path: Path
) -> None:
    """XLM's language embeddings; zero-shot languages count only where the reader is scored in them."""
    over = {"corpus.zero_shot": "xx", "corpus.dir": str(tmp_path)}
    for split, language, name in [("train", "en", "en"), ("train", "es", "es"), ("test", "en", "xx")]:
        shutil.copy(BUILTIN_CORPUS / f"{split}.{language}.json", tmp_path / f"{split}.{name}.json")
    whole, _ = project(tiny_model_folder, tmp_path / "work", **over, **{"evaluation.metric": "squad-v1"})
    taught = student(f"en={tiny_xlm_folder}", "es")
    checked_run(whole, taught)
    with pytest.raises(ConfigError, match=r"teacher 'en' \(.*xlm\): language 'xx': the model does not know"):
        checked_runs(whole, taught)


def test_rows_and_state_of_a_reader(copy: Path, tiny_model_folder: Path, reader: Path) -> None:
    before = files(reader)
    over = {"task.distill.teachers": ["en", f"es={reader}"]}
    whole, _ = project(tiny_model_folder, copy, **over)
    rows = run_all(whole, Components.from_settings(whole.settings, "distill"))
    named = list(dict.fromkeys(row["model"] for row in rows))
    assert named == ["baseline", "branch-mrc.en", "es=my-reader", f"{STUDENT}.en+es=my-reader"]
    assert {row["language"] for row in rows if row["model"] == "es=my-reader"} == {"en", "es", "de"}
    assert files(reader) == before  # a reader's folder is its owner's
    again, notes = project(tiny_model_folder, copy, **over)
    assert run_all(again, Components.from_settings(again.settings, "distill")) == rows
    assert not notes.worked
    states = told(copy)
    assert states["run", named[-1]] == states["logits", "es=my-reader"] == ("done", "")
    jobs = jobs_of(whole, "distill", {"teachers": ["en", f"es={reader}"]})
    expected = [("branch-mrc.en", None), ("es=my-reader", str(reader))]
    assert [(job.name, job.reader) for job in jobs[:2]] == expected
    rewrite(reader, lambda weights: weights | {"qa_outputs.bias": torch.tensor([2.0, 2.0])})
    assert told(copy)["run", named[-1]] == ("stale", "teacher es")
    assert told(copy)["logits", "es=my-reader"] == ("stale", "teacher weights")
    shutil.rmtree(reader)
    assert told(copy)["run", named[-1]] == ("stale", "teachers are missing: es")


def test_teachers_of_the_workspace_with_other_tokens_are_carried_over(
    copy: Path, tiny_unigram_folder: Path
) -> None:
    """A student of another encoder learns from the branches that are there."""
    before = files(copy / "runs")
    other, notes = project(tiny_unigram_folder, copy)
    folder = train_run(checked_run(other, Components("distill"), "unigram"))
    assert {path: was for path, was in files(copy / "runs").items() if path in before} == before
    for name in MODELS[1:3]:
        assert f"{name}: reads other tokens than the student; its logits are carried over" in notes.notes
    model = load_span_model(str(folder / "model"))
    assert model.config.hidden_size == 16
    states = {each.name: each.status for each in workspace_status(copy) if each.kind == "logits"}
    assert states == {name: "done" for name in MODELS[1:3]}


def test_a_reader_that_reads_less_is_told(tiny_model_folder: Path, reader: Path, tmp_path: Path) -> None:
    config = json.loads((reader / "config.json").read_text())
    (reader / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 48}))
    rewrite(
        reader,
        lambda weights: {
            name: weight[:48].clone() if name.endswith("position_embeddings.weight") else weight
            for name, weight in weights.items()
        },
    )
    whole, notes = project(tiny_model_folder, tmp_path / "work")
    [(start, end)] = stored(whole, Teacher("es", model=str(reader)))
    assert np.isfinite(start).any(1).all()
    [note] = [note for note in notes.notes if "longer than the teacher reads" in note]
    assert note.startswith("es=my-reader: ")


@pytest.mark.slow
def test_every_weighting_weighs_readers(copy: Path, tiny_model_folder: Path, reader: Path) -> None:
    """By the names that they were given; their logits are computed once for all."""
    for number, name in enumerate(weightings.names()):
        whole, notes = project(tiny_model_folder, copy)
        run = Run.of(whole, student("en", f"es={reader}", weighting=name))
        train_run(run)
        assert run.done()
        assert ("es=my-reader scores" in notes.worked) == (number == 0)


def test_the_teacher_of_the_passages_language(copy: Path, tiny_model_folder: Path, reader: Path) -> None:
    """`language-match` knows a reader by its name: its logits alone count on passages of that language."""
    whole, _ = project(tiny_model_folder, copy)
    teachers = Teacher("en", "branch-mrc", {"lang": "en"}), Teacher("es", model=str(reader))
    stores = {teacher.name: cache_logits(whole, teacher) for teacher in teachers}
    logits = TeacherLogits(stores, weightings.create("language-match"))
    asked = np.intersect1d(whole.train_features.features([("es", "en")]), stores["es"].features)
    assert len(asked)
    batch = collate(whole.train_features, asked)
    start, end = logits.logits(batch, logits.read(batch))
    width = batch.input_ids.shape[1]
    for found, expected in zip((start, end), stores["es"].read(batch.windows.feature, width), strict=True):
        assert np.array_equal(found.numpy(), expected)
