import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from finished_runs import QUICK, STUDENT, Notes, files, half_written, project, run_everything, train
from ranks import Ranks, settings

from lbkd.config import Settings
from lbkd.engine import meter
from lbkd.errors import ConfigError, LbkdError
from lbkd.evaluation import evaluate as evaluation
from lbkd.evaluation.evaluate import evaluate
from lbkd.project import Project
from lbkd.training import steps
from lbkd.training.loop import TrainingLoop


@pytest.fixture
def other_tokenizer(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The same model, but its tokenizer swaps two pieces."""
    folder = shutil.copytree(tiny_model_folder, tmp_path / "other")
    table = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = table["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (folder / "tokenizer.json").write_text(json.dumps(table))
    return folder


def test_teachers_with_another_tokenizer_score_with_their_own(copy: Path, other_tokenizer: Path) -> None:
    files = [copy / "logits" / "branch-mrc.es" / f"{half}.u12" for half in ("start", "end")]
    before = [file.read_bytes() for file in files]
    other, notes = project(other_tokenizer, copy, overwrite=True)
    train(other, "distill")
    assert "branch-mrc.es: reads other tokens than the student; its logits are carried over" in notes.notes
    assert [file.read_bytes() for file in files] == before


def test_a_run_is_evaluated_as_it_was_trained(
    copy: Path, tiny_model_folder: Path, other_tokenizer: Path
) -> None:
    """Whatever encoder and windows the settings of the moment name."""
    rows = evaluate(project(tiny_model_folder, copy)[0], copy / "runs" / "baseline")
    shutil.rmtree(copy / "runs" / "baseline" / "eval")
    other, _ = project(other_tokenizer, copy, **{"model.window_step": 7})
    assert evaluate(other, copy / "runs" / "baseline") == rows


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), OSError("no space left on device")])
@pytest.mark.parametrize("where", ["_optimize", "save"])
def test_a_failed_training_leaves_the_former_one(
    where: str,
    raised: BaseException,
    copy: Path,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether it fails at a step, or when all but the last file is written."""

    def fail(*_: Any) -> Any:
        raise raised

    before = files(copy)
    other, _ = project(tiny_model_folder, copy, **{"training.learning_rate": 2e-3, "overwrite": True})
    place = (TrainingLoop, "_optimize") if where == "_optimize" else (steps, "save_run")
    monkeypatch.setattr(*place, fail)
    with pytest.raises(type(raised)):
        train(other, "baseline")
    after = files(copy)
    told = {name for name in after if name.startswith("runs/baseline/training/")}  # by the one that failed
    assert "runs/baseline/training/metrics.jsonl" in told
    assert {name: value for name, value in after.items() if name not in told} == before
    assert not half_written(copy)
    monkeypatch.undo()
    assert train(other, "baseline").name == "baseline"


def test_a_failed_first_training_leaves_its_numbers_alone(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "save_run", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(project(tiny_model_folder, tmp_path)[0], "baseline")
    run = tmp_path / "runs" / "baseline"
    assert {path.name for path in run.iterdir()} <= {"training", "checkpoints"}
    assert json.loads((run / "training" / "metrics.jsonl").read_text().splitlines()[-1])["loss"] > 0


def test_what_does_not_fit_is_told_before_anything_is_computed(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    whole, _ = project(tiny_model_folder, tmp_path)
    with pytest.raises(
        ConfigError, match="criterion 'kd' needs teachers, and task 'baseline' of .* has none"
    ):
        train(whole, "baseline", criterion="kd")
    with pytest.raises(ConfigError, match="no option 'weighting.impurity.temprature'"):
        train(project(tiny_model_folder, tmp_path, **{"weighting.impurity.temprature": 1})[0], "distill")
    with pytest.raises(ConfigError, match="no training language 'fr'"):
        train(whole, "branch-mrc", {"lang": "fr"})
    assert not list(tmp_path.iterdir())


def test_any_model_folder_can_be_evaluated(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "mine")
    whole, _ = project(folder, tmp_path / "workspace", **{"evaluation.metric": "squad-v2"})
    rows = evaluate(whole, folder)
    assert [(row["model"], row["task"], row["language"]) for row in rows] == [
        ("mine", "", "en"),
        ("mine", "", "es"),
        ("mine", "", "de"),
    ]
    assert "best_f1" in rows[0] or len(rows[0]) > 7  # what squad-v2 gives beside the common columns

    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("the model was loaded again")

    monkeypatch.setattr(evaluation, "load_span_model", forbidden)
    assert evaluate(whole, folder) == rows
    other, _ = project(folder, tmp_path / "workspace", **{"corpus.limit": 1})
    with pytest.raises(AssertionError, match="loaded again"):
        evaluate(other, folder)


def two_rank_run(how: Settings) -> list[dict[str, Any]]:
    from unittest import mock

    with mock.patch.object(meter, "matmul_peak", lambda *_: 1e10):
        return run_everything(Project(how))


@pytest.mark.slow
def test_two_ranks_leave_what_one_does(
    two_ranks: Ranks,
    done: tuple[Path, list[dict[str, Any]], Notes],
    tiny_model_folder: Path,
    tmp_path: Path,
) -> None:
    workspace, rows, _ = done
    how = settings(tiny_model_folder, tmp_path, **QUICK)
    first, second = two_ranks(two_rank_run, how, deadline=120)
    assert first == second == rows
    ours, theirs = set(files(tmp_path)), set(files(workspace))
    assert {path for path in ours ^ theirs if "tensorboard" not in path} == set()
    for language in ("en", "es", "de"):
        answers = Path("runs", STUDENT, "eval", f"test.{language}.json")
        assert json.loads((tmp_path / answers).read_text()) == json.loads((workspace / answers).read_text())
    assert not half_written(tmp_path)


def too_small_a_batch(how: Settings) -> str:
    with pytest.raises(ConfigError) as raised:
        Project(how)
    return str(raised.value)


def odd_corpus(how: Settings) -> str:
    with pytest.raises(LbkdError) as raised:
        _ = Project(how).train_features
    return str(raised.value)


def test_all_ranks_raise_what_went_wrong_on_the_first(
    two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path
) -> None:
    how = settings(tiny_model_folder, tmp_path, **{"training.batch_size": 1})
    assert two_ranks(too_small_a_batch, how) == ["training.batch_size = 1 is less than the 2 ranks."] * 2
    how = settings(tmp_path / "nothing", tmp_path, **{"model.trim": 100})
    first, second = two_ranks(odd_corpus, how)
    assert first == second
    assert "nothing" in first
