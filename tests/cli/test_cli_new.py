"""`lbkd new`: what it writes, and what it refuses."""

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd.registry import KINDS, registry_of

ROOT = Path(__file__).parents[2]
REGISTRIES = {registry_of(kind).kind: registry_of(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_files(lbkd: Callable[..., Any], kind: str) -> None:
    """A package of an example's files, in which nothing has the example's names."""
    done = lbkd("new", kind, "k2-own_Name")
    assert done.code == 0
    package, readme, module, tests = files = [
        *("pyproject.toml", "README.md", "lbkd_k2_own_Name/__init__.py", "tests/test_k2_own_Name.py")
    ]
    first, _, then = done.out.splitlines()
    assert first == f"written: {', '.join(f'k2-own_Name/{file}' for file in files)}"
    assert then == "  cd k2-own_Name && pip install -e '.[test]' && python -m pytest"
    place = Path("k2-own_Name")
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*.*")) == sorted(files)

    [example] = tomllib.loads((ROOT / "examples" / kind / package).read_text())["project"][
        "entry-points"
    ].values()
    [(former, former_class)] = example.items()
    written = "".join((place / file).read_text() for file in files)
    assert not any(word in written for word in (former, *former_class.split(":"), former.replace("-", "_")))

    about = tomllib.loads((place / package).read_text())
    assert about["project"]["name"] == "lbkd-k2-own_Name"
    points = {"k2-own_Name": "lbkd_k2_own_Name:K2OwnName"}
    assert about["project"]["entry-points"] == {REGISTRIES[kind].package: points}
    assert about["tool"]["setuptools"]["packages"] == ["lbkd_k2_own_Name"]
    classes = [n.name for n in ast.parse((place / module).read_text()).body if isinstance(n, ast.ClassDef)]
    assert classes == ["K2OwnName"]
    assert f"check_{kind}(" in (place / tests).read_text()
    assert (place / readme).read_text().startswith("# k2-own_Name\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tensor", "TensorWeighting"), ("none", "NoneWeighting"), ("false", "FalseWeighting")],
)
def test_a_class_with_a_name_of_its_own(lbkd: Callable[..., Any], name: str, expected: str) -> None:
    lbkd("new", "weighting", name)
    assert f"class {expected}(Weighting):" in Path(name, f"lbkd_{name}/__init__.py").read_text()


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("weighting", "impurity", "weighting 'impurity' is already provided by lbkd; take another name."),
        ("weighting", "a/b", "'a/b' is no name for a package: take letters from A to Z and digits"),
        ("task", "2nd", "begin with a letter"),
        ("task", "élan", "'élan' is no name for a package"),
        ("task", "a--b", "single - or _ between them"),
        ("tracker", "cli", "a package lbkd_cli is installed already; take another name."),
        ("criterion", "there", "there exists already: take another name, or go to another folder."),
        ("weighing", "mine", "no kind of component 'weighing'; did you mean 'weighting'?"),
    ],
)
def test_refused(refused: Callable[..., str], kind: str, name: str, told: str) -> None:
    Path("there").mkdir()
    assert told in refused("new", kind, name)
    assert [path.name for path in Path().iterdir()] == ["there"]


def test_the_examples_are_installed_with_lbkd() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert tools["package-dir"]["lbkd_examples"] == "examples"
    installed = {
        path
        for pattern in tools["package-data"]["lbkd_examples"]
        for path in ROOT.glob(f"examples/{pattern}")
    }
    for kind in REGISTRIES:
        assert len([path for path in installed if path.is_relative_to(ROOT / "examples" / kind)]) == 4
