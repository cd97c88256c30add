"""The public names of `lbkd`, and the examples of docs/api.md, which run as they stand."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lbkd
from lbkd.registry import Registry
from lbkd.settings import load_settings

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


def test_everything_in_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of `run` with the training itself left out: what is trained is what the settings say."""
    from lbkd.project import Project
    from lbkd.training import steps

    asked = []

    def run_all(project: Project, *_: Any) -> list[dict[str, Any]]:
        asked.append(project.settings)
        return [{"model": "baseline", "language": "es", "f1": 12.5}]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(steps, "run_all", run_all)
    run(example("import load_settings, run"))
    assert asked == [load_settings({"corpus.dir": "my-data", "corpus.languages": "en,es"})]
    assert capsys.readouterr().out == "baseline es 12.5\n"
