"""What tells two uses of a component apart, and what does not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from plugin_source import GOOD, Install

from lbkd import criterion_registry, task_registry, weighting_registry
from lbkd.provenance import source_hash
from lbkd.registry import Registry
from lbkd.weighting import Weighting
from lbkd.workspace import differences


def test_all_of_it() -> None:
    found = weighting_registry.provenance("impurity", {})
    assert found.keys() == {"name", "package", "source", "options"}
    assert (found["name"], found["package"]) == ("impurity", "lbkd")
    assert found["options"] == {"temperature": 1.0}
    assert len(found["source"]) == 64


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("distill", {"teachers": ("en", "es")}),
        ("distill", {"teachers": ["en", "es"], "teacher_task": "branch-mrc"}),
        ("lakm", {"phrases": "./lists"}),
        ("lakm", {"phrases": "elsewhere/../lists", "rate": "0.15"}),
    ],
)
def test_equal_things_compare_equal(name: str, options: dict[str, Any]) -> None:
    """A list or a tuple; a default spelled out or left out; a path one way or another."""
    plain = {"distill": {"teachers": ["en", "es"]}, "lakm": {"phrases": str(Path("lists").absolute())}}
    assert task_registry.provenance(name, options) == task_registry.provenance(name, plain[name])


@pytest.mark.parametrize("options", [{"temperature": 1}, {"temperature": 1.0}, {"temperature": "1"}])
def test_a_default_spelled_out_is_the_default(options: dict[str, Any]) -> None:
    assert weighting_registry.provenance("impurity", options) == weighting_registry.provenance("impurity", {})
    other = weighting_registry.provenance("impurity", {"temperature": 2})
    assert differences(weighting_registry.provenance("impurity", {}), other) == "options.temperature"


def installed(registry: Registry[Weighting], install: Install, source: str, folder: str) -> dict[str, Any]:
    """Provenance of a plugin with this source, in a process that has not seen it before."""
    site = install("stranger", "mine = MODULE:Mine", source, folder=folder)
    found = registry.provenance("mine", {"power": 3})
    del sys.modules["stranger"]
    sys.path.remove(str(site))
    return found


def test_an_edited_formula_is_another_source(registry: Registry[Weighting], install: Install) -> None:
    """The version of the package stays: it is installed as it is edited."""
    first = installed(registry, install, GOOD, "a")
    assert installed(registry, install, GOOD, "b") == first
    edited = installed(registry, install, GOOD.replace("logits[:, :, 0]", "logits[:, :, 1]"), "c")
    assert edited["package"] == first["package"] == "stranger 1.2"
    assert differences(first, edited) == "source"


def test_another_default_of_the_constructor_is_another_option(
    registry: Registry[Weighting], install: Install
) -> None:
    first = installed(registry, install, GOOD, "a")
    assert first["options"] == {"power": 3, "shift": 0.5}
    edited = installed(registry, install, GOOD.replace("shift: float = 0.5", "shift: float = 0.25"), "b")
    assert differences(first, edited) == "options.shift, source"


FORMULA = """
from lbkd.weighting import Weighting
from .formula import power

class Mine(Weighting):
    def weights(self, logits, context):
        return power(logits)
"""


def test_a_formula_in_another_module_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that the component imports count, loaded or not; others of the package do not."""
    package = tmp_path / "parted"
    package.mkdir()
    for name, source in {"__init__": FORMULA, "formula": "def power(x):\n    return x", "other": ""}.items():
        (package / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    import parted

    def found() -> str:
        return source_hash(parted.Mine, "lbkd.weighting")

    first = found()
    (package / "other.py").write_text("x = 1")
    assert found() == first
    (package / "formula.py").write_text("def power(x):\n    return x * 2")
    assert found() != first
    for name in ("parted", "parted.formula"):
        del sys.modules[name]


def test_the_losses_that_a_criterion_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """`combined` depends on the files of `nll` and of all that may be its `kd`; `nll` on its own alone."""
    import lbkd.provenance

    read: set[str] = set()
    source = lbkd.provenance._module_source
    monkeypatch.setattr(lbkd.provenance, "_module_source", lambda name: read.add(name) or source(name))
    for name, files in {
        "nll": {"nll"},
        "combined": {"combined", "kd", "nll", "jsd", "logit_mse", "reverse_kl", "hidden"},
        "mlm": {"mlm", "nll"},
    }.items():
        read.clear()
        criterion_registry.provenance(name, {})
        modules = {name for name in read if source(name)}
        assert modules == {"lbkd.criterions", *(f"lbkd.criterions.{file}" for file in files)}


def test_it_does_not_depend_on_what_else_was_imported() -> None:
    ask = "from lbkd import weighting_registry as r; print(r.provenance('learned', {})['source'])"
    more = "import lbkd.weighting.fixed, lbkd.weighting.ebkd; " + ask
    found = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        for code in (ask, more)
    ]
    assert found[0] == found[1] == weighting_registry.provenance("learned", {})["source"] + "\n"


SCRIPT = """
from lbkd import Weighting, weighting_registry

@weighting_registry.register("mine")
class Mine(Weighting):
    def weights(self, logits, context):
        return logits[:, :, 0]

print(weighting_registry.provenance("mine", {})["source"])
"""


@pytest.mark.parametrize("how", ["file", "command", "standard input"])
def test_a_scripts_formula(tmp_path: Path, how: str) -> None:
    """Also where Python has no source to show, as in an interpreter."""

    def source(code: str) -> str:
        (tmp_path / "script.py").write_text(code)
        words = {"file": [str(tmp_path / "script.py")], "command": ["-c", code], "standard input": ["-"]}[how]
        done = subprocess.run([sys.executable, *words], input=code, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = source(SCRIPT)
    assert len(first) == 65
    assert source(SCRIPT) == first
    assert source(SCRIPT.replace(":, 0]", ":, 1]")) != first
