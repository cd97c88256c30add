import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from finished_runs import MODELS, STUDENT, Notes, files, half_written, project, run_everything, train

from lbkd.config import Settings
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.evaluate import evaluate
from lbkd.models.load import load_span_model
from lbkd.tasks import Teacher
from lbkd.training.check import checked_run
from lbkd.training.run import Components
from lbkd.training.steps import cache_logits, train_run


def test_run_all_leaves_everything_behind(done: tuple[Path, list[dict[str, Any]], Notes]) -> None:
    workspace, _, notes = done
    found = set(files(workspace))
    for name in MODELS:
        run = f"runs/{name}"
        assert {
            f"{run}/{file}"
            for file in ("run.json", "metrics.jsonl", "model/config.json", "model/model.safetensors")
        } <= found
        assert {f"{run}/model/tokenizer.json", f"{run}/model/tokenizer_config.json"} <= found
        assert {f"{run}/eval/test{end}.json" for end in ("", ".en", ".es", ".de")} <= found
        assert sum(path.startswith(f"{run}/tensorboard/events") for path in found) == 1
        assert len((workspace / run / "metrics.jsonl").read_text().splitlines()) == 2
    for name in MODELS[1:3]:
        stored = {path for path in found if path.startswith(f"logits/{name}/")}
        assert {path.rsplit("/")[-1] for path in stored} == {
            *("manifest.json", "start.u12", "end.u12", "blocks.0.jsonl")
        }
    assert {path.split("/")[0] for path in found} == {"corpus", "runs", "logits", "tokens", "results.json"}
    assert not half_written(workspace)
    assert notes.worked >= {*MODELS, *(f"{name} answers" for name in MODELS), "branch-mrc.es scores"}

    about = json.loads((workspace / "runs" / STUDENT / "run.json").read_text())
    assert (about["name"], about["task"], about["seed"], about["ranks"]) == (STUDENT, "distill", 1, 1)
    assert about["versions"].keys() == {"lbkd", "torch", "transformers", "deepspeed", "tokenizers", "numpy"}
    assert Settings.model_validate(about["settings"]).training.max_steps == 2
    weighting = about["provenance"]["weighting"]
    assert (weighting["name"], weighting["options"]) == ("impurity", {"temperature": 1.0})
    needed = {
        "teacher en",
        "teacher es",
        "corpus",
        "model.name",
        "model.commit",
        "tokenizer",
        "training.max_steps",
    }
    assert needed <= about["provenance"].keys()


def test_the_rows_of_the_results(done: tuple[Path, list[dict[str, Any]], Notes]) -> None:
    workspace, rows, _ = done
    assert json.loads((workspace / "results.json").read_text()) == rows
    tasks = dict(zip(MODELS, ["baseline", "branch-mrc", "branch-mrc", "distill"], strict=True))
    assert [(row["model"], row["task"], row["language"]) for row in rows] == [
        (name, tasks[name], language) for name in MODELS for language in ("en", "es", "de")
    ]
    for row in rows:
        promised = {"model", "task", "language", "question_language", "zero_shot"}
        promised |= {"exact_match", "f1", "questions", "shared_questions"}
        assert row.keys() == promised
        assert row["zero_shot"] == (row["language"] == "de")
        assert row["questions"] == 6
        assert 0 <= row["exact_match"] <= row["f1"] <= 100
        answers = json.loads(
            (workspace / "runs" / row["model"] / "eval" / f"test.{row['language']}.json").read_text()
        )
        assert len(answers) == 6
        assert all(isinstance(text, str) for text in answers.values())


def test_nothing_is_done_twice(copy: Path, tiny_model_folder: Path) -> None:
    before = files(copy)
    whole, notes = project(tiny_model_folder, copy)
    rows = run_everything(whole)
    after = files(copy)
    for path in before:
        assert after[path][1] == before[path][1]
        if path != "results.json" and not path.startswith("logits/"):  # whose length is set, to what it was
            assert after[path] == before[path]
    assert after.keys() == before.keys()
    assert json.loads((copy / "results.json").read_text()) == rows
    done = [f"{name}: done before, still valid ({copy}/runs/{name})" for name in MODELS]
    others = "the encoder reads", f"{MODELS[-1]}: scores are not calibrated"
    assert [note for note in notes.notes if not note.startswith(others)] == done
    assert not notes.worked


@pytest.mark.parametrize(
    ("over", "again", "since", "worked"),
    [
        ({"training.log_every": 2, "runtime.zero_stage": 2}, [], "", set()),
        ({"training.micro_batch_size": 2}, [], "", set()),
        ({"evaluation.max_answer_tokens": 5}, [], "", {f"{name} answers" for name in MODELS}),
        (
            {"training.learning_rate": 2e-3, "training.max_grad_norm": 1.0},
            MODELS,
            "training.learning_rate, training.max_grad_norm",
            {*MODELS, *(f"{name} {work}" for name in MODELS for work in ("answers", "scores"))}
            - {"baseline scores", f"{STUDENT} scores"},
        ),
    ],
)
def test_a_changed_setting_redoes_what_depends_on_it(
    over: dict[str, Any], again: list[str], since: str, worked: set[str], copy: Path, tiny_model_folder: Path
) -> None:
    before = files(copy / "runs")
    if again:
        with pytest.raises(ConfigError, match=rf"runs/baseline holds a finished run with another {since}\."):
            run_everything(project(tiny_model_folder, copy, **over)[0])
        assert files(copy / "runs") == before
    whole, notes = project(tiny_model_folder, copy, **over, overwrite=True)
    run_everything(whole)
    after = files(copy / "runs")
    assert [name for name in MODELS if f"{name}: done before" not in "\n".join(notes.notes)] == again
    for name in again:
        [note] = [note for note in notes.notes if note.startswith(f"{name}: trained again")]
        of_teachers = ", teacher en, teacher es" if name == STUDENT and len(again) > 1 else ""
        changed = ", ".join(sorted(filter(None, f"{since}{of_teachers}".split(", "))))
        assert note == f"{name}: trained again, since {changed} changed"
    assert notes.worked == worked
    for name in MODELS:
        weights = f"{name}/model/model.safetensors"
        assert (after[weights] == before[weights]) == (name not in again)
    assert not half_written(copy)


@pytest.mark.parametrize(
    ("over", "name"),
    [
        ({"weighting.impurity.temperature": 2.0}, "distill.combined.impurity.temperature=2.0"),
        (
            {"criterion.combined.temperature": 3.0, "criterion.combined.kd_weight": 0.5},
            "distill.combined.temperature=3.0.impurity",
        ),
    ],
)
def test_a_student_with_other_options_has_a_folder_of_its_own(
    over: dict[str, Any], name: str, copy: Path, tiny_model_folder: Path
) -> None:
    before = files(copy / "runs")
    whole, notes = project(tiny_model_folder, copy, **over)
    assert train(whole, "distill").name == name
    assert notes.worked == {name}
    assert {path: was for path, was in files(copy / "runs").items() if path in before} == before


@pytest.mark.parametrize("content", ["[]", "{}", '{"provenance": 1}', "{", ""])
def test_a_run_whose_description_is_damaged_is_refused(
    content: str, copy: Path, tiny_model_folder: Path
) -> None:
    (copy / "runs" / "branch-mrc.es" / "run.json").write_text(content)
    before = files(copy / "runs")
    for task in ("distill", "branch-mrc"):
        with pytest.raises(
            DataError, match=r"branch-mrc.es/run.json: damaged, or not written by this version"
        ):
            train(project(tiny_model_folder, copy)[0], task, {"lang": "es"} if task != "distill" else {})
    assert files(copy / "runs") == before


def test_a_teacher_is_taken_as_it_is(copy: Path, tiny_model_folder: Path) -> None:
    """`distill` does not train a teacher again because the settings are others now."""
    before = files(copy / "runs")
    other, notes = project(tiny_model_folder, copy, **{"training.learning_rate": 2e-3, "overwrite": True})
    train(other, "distill")
    after = files(copy / "runs")
    assert {path.split("/")[0] for path in before if after.get(path) != before[path]} == {STUDENT}
    assert notes.notes == [
        "teachers trained with another training.learning_rate are taken as they are: "
        "branch-mrc.en, branch-mrc.es",
        f"{STUDENT}: trained again, since training.learning_rate changed",
    ]


def test_a_teacher_of_another_encoder_or_corpus_is_told(
    copy: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    """Of the same tokenizer; a student of one teacher hears of that one alone."""
    encoder = shutil.copytree(tiny_model_folder, tmp_path / "encoder")
    (encoder / "README.md").write_text("Another encoder.")
    over = {"model.name": str(encoder), "corpus.limit": 1, "training.max_steps": 1}
    other, notes = project(tiny_model_folder, copy, **over)
    train_run(checked_run(other, Components("distill", {"teachers": ["es"]}), "other"))
    [note] = [note for note in notes.notes if "taken as" in note]
    assert note == (
        "teachers trained with another corpus, model.name, training.max_steps are taken as they are: "
        "branch-mrc.es"
    )
    assert other.settings.workspace / "runs" / "other" in list((copy / "runs").iterdir())


def test_a_run_of_another_task_is_no_teacher(copy: Path, tiny_model_folder: Path) -> None:
    shutil.rmtree(copy / "runs" / "branch-mrc.es")
    shutil.copytree(copy / "runs" / "branch-mrc.en", copy / "runs" / "branch-mrc.es")
    with pytest.raises(ConfigError, match="es: a run with another task.options.lang has the name"):
        train(project(tiny_model_folder, copy, overwrite=True)[0], "distill", weighting="fixed")


def test_a_missing_teacher_is_trained(copy: Path, tiny_model_folder: Path) -> None:
    shutil.rmtree(copy / "runs" / "branch-mrc.es")
    shutil.rmtree(copy / "logits" / "branch-mrc.es")
    whole, notes = project(tiny_model_folder, copy)
    train(whole, "distill")
    assert notes.notes == [
        f"{copy} lacks the teachers branch-mrc.es: training them first",
        f"{STUDENT}: done before, still valid ({copy}/runs/{STUDENT})",  # the same teacher came about
    ]


def test_ablations_share_the_teachers_and_what_they_said(copy: Path, tiny_model_folder: Path) -> None:
    before = files(copy)
    one, notes = project(tiny_model_folder, copy)
    run = train(one, "distill", {"teachers": ["es"]})
    assert run.name == "distill.combined.impurity.es"
    assert not notes.notes
    assert notes.worked == {run.name}
    provenance = json.loads((run / "run.json").read_text())["provenance"]
    assert [name for name in provenance if name.startswith("teacher")] == ["teacher es"]
    assert {path: was for path, was in files(copy).items() if path in before and "logits" not in path} == {
        path: was for path, was in before.items() if "logits" not in path
    }


def test_teachers_that_differ_in_their_seed(copy: Path, tiny_model_folder: Path) -> None:
    mixed, notes = project(tiny_model_folder, copy)
    run = train(mixed, "distill", {"teacher_task": "mix-mrc"})
    assert run.name == "distill.combined.impurity.mix-mrc"
    assert notes.notes[0] == f"{copy} lacks the teachers mix-mrc, mix-mrc.seed1001: training them first"
    hashes = [(copy / "runs" / name / "run.json") for name in ("mix-mrc", "mix-mrc.seed1001")]
    assert [json.loads(path.read_text())["seed"] for path in hashes] == [1, 1001]
    stores = [(copy / "logits" / name / "start.u12").read_bytes() for name in ("mix-mrc", "mix-mrc.seed1001")]
    assert len(stores[0]) == len(stores[1]) and stores[0] != stores[1]


def test_a_student_with_fewer_layers_than_its_teachers(copy: Path, tiny_model_folder: Path) -> None:
    small, notes = project(tiny_model_folder, copy, **{"model.layers": 1})
    run = train_run(checked_run(small, Components.from_settings(small.settings, "distill"), "small"))
    assert not any("teachers" in note or "branch-mrc" in note for note in notes.notes)  # those that are there
    model = load_span_model(str(run / "model"))
    assert model.config.num_hidden_layers == len(model.base_model.encoder.layer) == 1
    assert len(evaluate(small, run)) == 3
    assert json.loads((run / "run.json").read_text())["provenance"]["model.layers"] == 1


@pytest.mark.parametrize(
    ("over", "named"),
    [({"corpus.limit": 1}, "corpus.limit"), ({"corpus.languages": "en"}, "corpus.languages")],
)
def test_a_run_of_other_texts_is_not_replaced(
    over: dict[str, Any], named: str, copy: Path, tiny_model_folder: Path
) -> None:
    before = files(copy / "runs")
    with pytest.raises(ConfigError, match=rf"runs/baseline holds a finished run with another {named}\."):
        train(project(tiny_model_folder, copy, **over)[0], "baseline")
    assert files(copy / "runs") == before


def test_logits_of_a_teacher_that_changed_are_computed_again(copy: Path, tiny_model_folder: Path) -> None:
    other, notes = project(tiny_model_folder, copy, **{"training.learning_rate": 2e-3, "overwrite": True})
    train(other, "branch-mrc", {"lang": "en"})
    cache_logits(other, Teacher("en", "branch-mrc", {"lang": "en"}))
    assert notes.notes == [
        "branch-mrc.en: trained again, since training.learning_rate changed",
        f"{copy}/logits/branch-mrc.en: computed again, since teacher weights changed",
        "branch-mrc.en: scoring 16 windows",
    ]


def test_what_a_weighting_learned_is_told_and_kept(
    copy: Path, done: tuple[Path, list[dict[str, Any]], Notes], tiny_model_folder: Path
) -> None:
    whole, notes = project(tiny_model_folder, copy)
    run = train(whole, "distill", weighting="learned")
    learned = json.loads((run / "weighting.json").read_text())
    assert learned["NLL"] < learned["NLL at equal weights"]
    [note] = notes.notes
    assert note.startswith("distill.combined.learned: the weighting learned minus entropy ")
    assert f"own passage language {learned['own passage language']:.3g}, " in note
    assert note.endswith(f"NLL {learned['NLL']:.3g}")
    assert not (copy / "runs" / STUDENT / "weighting.json").exists()
    assert not any("weighting learned" in note for note in done[2].notes)
