"""A finished run is valid for equal components and encoders however they are written, and for no others."""

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ranks import settings

from lbkd import weighting_registry
from lbkd.project import Project
from lbkd.training.run import Components, Run
from lbkd.training.steps import train

QUICK = {"corpus.limit": 2, "training.max_steps": 1}
FORMULA = """
from lbkd import Weighting

class Mine(Weighting):
    def __init__(self, shares: tuple[float, ...] = (2.0, 1.0)) -> None:
        self.shares = shares

    def weights(self, logits, context):
        return (logits[:, :, 0] * 0).softmax(0)
"""


class Workplace:
    """A weighting in a file, a student that learnt with it, and the encoder in a folder."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model

    def formula(self, text: str) -> None:
        (self.folder / "mine_weighting.py").write_text(text)
        importlib.invalidate_caches()
        sys.modules.pop("mine_weighting", None)
        weighting_registry.register("mine")(importlib.import_module("mine_weighting").Mine)

    def run(self, options: dict[str, Any] | None = None, **over: Any) -> Run:
        given = {**QUICK, "model.name": str(self.model), **over}
        how = settings(self.model, self.folder / "work", **given)
        student = Components("distill", weighting="mine", weighting_options=options or {})
        return Run.of(Project(how), student)

    def changed(self, options: dict[str, Any] | None = None, **over: Any) -> str | None:
        run = self.run(options, **over)
        return run.changed(run.provenance())


@pytest.fixture(scope="module")
def workplace(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("stale")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "dont_write_bytecode", True)  # two edits of one second and size look alike there
        patch.setattr(weighting_registry, "_scripted", {})
        patch.setattr("lbkd.engine.meter.matmul_peak", lambda *_: 1e10)
        place = Workplace(folder, tiny_model_folder)
        place.formula(FORMULA)
        run = place.run()
        train(run.project, run.components)
        yield place
        sys.modules.pop("mine_weighting")


def test_the_run_is_valid(workplace: Workplace) -> None:
    assert workplace.changed() == ""
    assert workplace.run().done()


def test_what_a_kill_left_beside_a_valid_run(workplace: Workplace) -> None:
    """Between two renames: a former folder is removed, or gets its place back and is not made again."""
    run = workplace.run()
    hidden = run.folder.with_name(f".{run.folder.name}.01234567.old")
    (hidden / "model").mkdir(parents=True)
    train(run.project, run.components)
    assert not hidden.exists()
    written = (run.folder / "run.json").stat().st_mtime_ns
    run.folder.rename(hidden)
    train(run.project, run.components)
    assert not hidden.exists()
    assert (run.folder / "run.json").stat().st_mtime_ns == written


def test_what_a_kill_left_beside_a_valid_teacher(workplace: Workplace) -> None:
    """A former folder, and the locks of the folder that took its place and of the run."""
    teacher = workplace.run().folder.with_name("branch-mrc.en")
    names = ("branch-mrc.en.01234567.old", ".branch-mrc.en.89abcdef.new.lock", "branch-mrc.en.lock")
    left = [teacher.with_name(f".{name}") for name in names]
    left[0].mkdir()
    for lock in left[1:]:
        lock.touch()
    run = workplace.run()
    train(run.project, run.components)
    assert [path for path in left if path.exists()] == []
    assert teacher.exists()


def test_a_default_spelled_out_or_a_list_for_a_tuple(workplace: Workplace) -> None:
    assert workplace.changed({"shares": (2.0, 1.0)}) == ""
    assert workplace.changed({"shares": [2, 1]}) == ""
    default, other = workplace.run({"shares": [2, 1]}).folder, workplace.run({"shares": [1, 2]}).folder
    assert default == workplace.run().folder
    assert other != default


def test_an_encoders_folder_one_way_or_another(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content decides: other ways to write the folder's name, and a copy elsewhere, are one encoder."""
    model = workplace.model
    copy = shutil.copytree(model, workplace.folder / "another" / "name")
    monkeypatch.chdir(model.parent)
    for name in (
        model.name,
        f"./{model.name}",
        f"../{model.parent.name}/{model.name}",
        os.path.relpath(model),
        f"{model}/",
        str(copy),
    ):
        assert workplace.changed(**{"model.name": name}) == ""
    (copy / "README.md").write_text("Another encoder.")
    assert workplace.changed(**{"model.name": str(copy)}) == "model.name"


def test_an_edited_formula(workplace: Workplace) -> None:
    workplace.formula(FORMULA.replace("* 0", "* 0.5"))
    assert workplace.changed() == "weighting.source"
    workplace.formula(FORMULA)
    assert workplace.changed() == ""


def test_another_default_of_the_constructor(workplace: Workplace) -> None:
    workplace.formula(FORMULA.replace("(2.0, 1.0)", "(3.0, 1.0)"))
    assert workplace.changed() == "weighting.options.shares, weighting.source"
    workplace.formula(FORMULA)


def test_a_hub_model_counts_by_its_commit(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is the same, and the commit another."""
    place = workplace.folder / "models--someone--tiny"
    for each in ("1" * 40, "2" * 40):
        (place / "snapshots").mkdir(parents=True, exist_ok=True)
        (place / "snapshots" / each).symlink_to(workplace.model)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("1" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(workplace.folder))

    def commit(**over: Any) -> Any:
        how = settings(
            workplace.model, workplace.folder / "work", **QUICK, **{"model.name": "someone/tiny"}, **over
        )
        return Run.of(Project(how), Components("baseline")).provenance()["model.commit"]

    assert commit() == commit(**{"model.revision": "main"}) == "1" * 40
    assert commit(**{"model.revision": "2" * 40}) == "2" * 40
    (place / "refs" / "main").write_text("2" * 40)
    assert commit() == "2" * 40
