"""The public names of `lbkd`, and the examples of docs/api.md, which run as they stand."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lbkd
from lbkd.registry import Registry

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def example(word: str) -> str:
    """The one example with this word."""
    [code] = [code for code in EXAMPLES if word in code]
    return code


def run(code: str) -> dict[str, Any]:
    """The names that an example leaves."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "docs/api.md", "exec"), names)
    return names


@pytest.fixture
def nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example registers is forgotten after the test."""
    for name in lbkd.__all__:
        if isinstance(registry := getattr(lbkd, name), Registry):
            monkeypatch.setattr(registry, "_scripted", {})


def test_every_public_name_is_there_and_shown() -> None:
    for name in lbkd.__all__:
        assert getattr(lbkd, name) is not None
        assert re.search(rf"\b{name}\b", "".join(EXAMPLES)) or f"`{name}`" in PAGE
    with pytest.raises(AttributeError, match="has no attribute 'Weightin'"):
        lbkd.Weightin  # noqa: B018


def test_importing_lbkd_is_light() -> None:
    """All names are listed, and the five base classes imported, without torch."""
    code = """
import sys
import lbkd
from lbkd import Criterion, Task, TeacherContext, Tracker, Translator, Weighting, weighting_registry
assert weighting_registry.names()
heavy = {"torch", "transformers", "numpy", "pydantic", "deepspeed"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_components_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    found = run(example('create("confidence"'))
    assert found["weighting"].temperature == 2.0
    shown = capsys.readouterr().out
    assert "'impurity'" in shown
    assert "lbkd [Option(name='temperature', type='float', default='1.0')]" in shown


@pytest.mark.usefixtures("nothing_stays_registered")
def test_the_weighting() -> None:
    import torch

    known = run(example("question-match"))["TeacherContext"](
        ("en", "es"), ("en",), ("es",), torch.tensor([0]), torch.ones(1, 3, dtype=torch.bool)
    )
    weights = lbkd.weighting_registry.create("question-match").weights(torch.zeros(2, 1, 3), known)
    torch.testing.assert_close(weights, torch.tensor([[1 / 3], [2 / 3]]))


@pytest.mark.usefixtures("nothing_stays_registered")
def test_the_criterion() -> None:
    from types import SimpleNamespace

    import torch

    run(example("start-only"))
    # softmax (1/2 1/4 1/4) and (1/4 1/2 1/4), gold at 0: (ln 2 + ln 4) / 2
    student: Any = SimpleNamespace(start=torch.tensor([[2.0, 1, 1], [1, 2, 1]]).log(), end=None)
    batch: Any = SimpleNamespace(starts=torch.tensor([0, 0]))
    loss = lbkd.criterion_registry.create("start-only")(student, batch, None)
    assert loss.total.item() == pytest.approx(1.0397208)


@pytest.mark.usefixtures("nothing_stays_registered")
def test_the_task_and_the_translator() -> None:
    run(example("same-language"))
    task = lbkd.task_registry.create("same-language")
    assert task.pairs(["en", "es"], "en") == [("en", "en"), ("es", "es")]
    run(example("upper-case"))
    assert lbkd.translation_registry.create("upper-case").translate(["a b"], "en", "es") == ["A B"]


@pytest.mark.usefixtures("nothing_stays_registered")
def test_the_tracker(tmp_path: Path) -> None:
    made = run(example("in-memory"))
    tracker = lbkd.tracker_registry.create("in-memory")
    assert tracker.begin(made["TrackedRun"]("student", tmp_path, tmp_path)) is None
    tracker.log(1, {"loss": 2.5})
    tracker.end(True)
    assert vars(tracker) == {"lines": [(1, {"loss": 2.5}), True]}


def test_settings_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(example("import load_settings"))
    assert capsys.readouterr().out == "1e-05 my-data/train.es.json\n"


@pytest.mark.usefixtures("nothing_stays_registered")
def test_the_cell_of_a_notebook() -> None:
    import torch

    run(example('register("flat")'))
    weights = lbkd.weighting_registry.create("flat").weights(torch.randn(4, 2, 5), None)  # type: ignore[arg-type]
    torch.testing.assert_close(weights, torch.full((4, 2), 0.25))


def test_the_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of `train` and its like with the training itself left out: who is asked for what."""
    from lbkd import Score, TrainedModel
    from lbkd.api import calls as api

    row = {"task": "distill", "language": "es", "question_language": "es", "exact_match": 5.0, "f1": 12.5}
    score = Score.of({"model": "m", **row, "questions": 8, "shared_questions": 8, "zero_shot": False})
    asked: list[Any] = []

    def train_and_score(project: Any, components: Any, name: str | None = None) -> TrainedModel:
        asked.append((components.task, dict(components.task_options), components.weighting, name))
        asked.append((project.settings.corpus.dir.name, project.settings.training.epochs))
        return TrainedModel(name or components.task, tmp_path, 1.5, [score])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "train_and_score", train_and_score)
    monkeypatch.setattr(api, "train_and_score_all", lambda *_: [])
    monkeypatch.setattr(api, "asked_questions", lambda project, *words: words)
    monkeypatch.setattr(api, "score_models", lambda project, models, *words: asked.append(words))
    monkeypatch.setattr(api, "export_model", lambda project, *how: asked.append(how))
    monkeypatch.setattr(TrainedModel, "answerer", lambda _: lambda *asked: {"answer": asked[0]})
    run(example("lbkd.distill(weighting"))
    assert asked == [
        *(("branch-mrc", {"lang": "es"}, "impurity", None), ("my-data", 3)),
        *(("distill", {}, "margin", None), ("my-data", 3)),
        *(("distill", {}, "margin", "short"), ("my-data", 1)),
        (("xquad", None, None, True), None),
        (TrainedModel("distill", tmp_path, 1.5, [score]), Path("student-int8"), True, None, None),
    ]
    assert capsys.readouterr().out == f"distill {tmp_path} 1.5\nes 5.0 12.5\n¿Quién la pintó?\n"
