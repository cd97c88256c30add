import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from plugin_source import Install

import lbkd
from lbkd import criterions, tasks, translation, weighting
from lbkd.errors import ConfigError
from lbkd.registry import Registry
from lbkd.weighting import Weighting

ROOT = Path(lbkd.__file__).parents[1]
REGISTRIES: list[Registry[Any]] = [
    weighting.registry,
    criterions.registry,
    tasks.registry,
    translation.registry,
]
BUILT_IN = [
    pytest.param(registry, name, id=f"{registry.kind}-{name}")
    for registry in REGISTRIES
    for name in registry.names()
    if registry.origin(name) == "lbkd"
]


def test_there_are_built_in_components() -> None:
    assert {"fixed", "impurity", "confidence"} <= set(weighting.registry.names())
    assert {"nll", "kd", "combined"} <= set(criterions.registry.names())
    assert {"baseline", "branch-mrc", "mix-mrc", "distill"} <= set(tasks.registry.names())
    assert {"seq2seq", "apertium", "files"} <= set(translation.registry.names())


@pytest.mark.parametrize(("registry", "name"), BUILT_IN)
def test_a_file_is_its_name_and_holds_one_public_class(registry: Registry[Any], name: str) -> None:
    cls = registry.get(name)
    assert cls.__module__ == f"{registry.package}.{name.replace('-', '_')}"
    assert cls.__name__ == "".join(map(str.capitalize, name.split("-")))
    path = ROOT.joinpath(*cls.__module__.split(".")).with_suffix(".py")
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    assert [node.name for node in classes if not node.name.startswith("_")] == [cls.__name__]


@pytest.mark.parametrize(("registry", "name"), BUILT_IN)
def test_the_summary_is_the_docstrings_first_line(registry: Registry[Any], name: str) -> None:
    summary = registry.summary(name)
    assert summary
    assert summary == (registry.get(name).__doc__ or "").partition("\n")[0].strip()


@pytest.mark.parametrize(("registry", "name"), BUILT_IN)
def test_every_option_has_a_type_and_is_documented(registry: Registry[Any], name: str) -> None:
    for option in registry.options(name):
        assert option.type
        assert f"\n        {option.name}: " in (registry.get(name).__doc__ or "")


def test_names_are_sorted() -> None:
    for registry in REGISTRIES:
        assert registry.names() == sorted(set(registry.names()))


def test_a_listing_imports_nothing(install: Install) -> None:
    site = install("stranger", "mine = MODULE:Mine", "raise SystemExit('imported')")
    code = f"""
import sys
sys.path.insert(0, {str(site)!r})
from lbkd import criterions, tasks, translation, weighting
for registry in (criterions.registry, tasks.registry, translation.registry, weighting.registry):
    for name in registry.names():
        print(name, registry.origin(name), registry.summary(name))
heavy = {{"torch", "transformers", "numpy", "pydantic", "deepspeed", "stranger"}} & set(sys.modules)
parts = ("lbkd.weighting.", "lbkd.criterions.", "lbkd.tasks.", "lbkd.translation.")
parts = [m for m in sys.modules if m.startswith(parts)]
assert not heavy and not parts, (heavy, parts)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "mine stranger 1.2" in done.stdout
    assert "impurity lbkd Softmax over teachers of their entropy" in done.stdout


@pytest.mark.parametrize("ask", ["get", "origin", "options", "create"])
def test_unknown_name(registry: Registry[Weighting], ask: str) -> None:
    with pytest.raises(ConfigError) as caught:
        getattr(registry, ask)("impurty")
    text = str(caught.value)
    assert "no weighting 'impurty'; did you mean 'impurity'?" in text
    assert "Choices: " + ", ".join(registry.names()) in text
    assert "entry-point group 'lbkd.weighting'" in text
    assert "`lbkd list`" in text


def test_unknown_name_near_nothing(registry: Registry[Weighting]) -> None:
    with pytest.raises(ConfigError, match="no weighting 'zzz'; choices: agreement, "):
        registry.get("zzz")


@pytest.mark.parametrize("name", ["", ".", "language_match", "__init__", "../tasks/distill", "Fixed"])
def test_names_are_taken_to_the_letter(registry: Registry[Weighting], name: str) -> None:
    with pytest.raises(ConfigError, match="no weighting"):
        registry.get(name)
