"""Imports run one way only, what is heavy is imported late, and files stay small."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "lbkd").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])
LAYERS = (
    ("cli",),
    ("reproduction",),
    ("planning",),
    ("training",),
    ("evaluation", "inference"),
    ("project",),
    ("tasks", "criterions", "weighting", "teachers"),
    ("models",),
    ("features",),
    ("corpus_translation",),
    ("translation", "recovery", "corpus", "datasets", "phrases"),
    ("distributed",),
    ("workspace", "locks", "config", "registry", "options", "progress", "errors", "scripts", "graphemes"),
)
LAYER = {part: number for number, layer in enumerate(LAYERS) for part in layer}
KINDS = ("tasks", "criterions", "weighting", "translation")
MAIN = """import atexit, sys
from lbkd_cli.main import main
atexit.register(lambda: print(*(name.partition(".")[0] for name in sys.modules), file=sys.stderr))
main()"""


def part_of(path: Path) -> str:
    """The part of the house that a file belongs to: cli, or what follows lbkd."""
    inside = path.relative_to(ROOT)
    return "cli" if inside.parts[0] == "cli" else inside.with_suffix("").parts[1]


def imported(path: Path) -> set[str]:
    """Full names of all imported modules and names.

    Those under TYPE_CHECKING count too: a type from a higher layer is knowledge of it all the same.
    """
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {item.name for item in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = f"lbkd_cli.{node.module or ''}".rstrip(".") if node.level else node.module or ""
            names |= {f"{origin}.{item.name}" for item in node.names}
    return names


def parts_imported(path: Path) -> set[str]:
    """The parts of the house that a file imports, other than its own."""
    found = {"cli" for name in imported(path) if name.startswith("lbkd_cli")}
    found |= {name.split(".")[1] for name in imported(path) if name.startswith("lbkd.")}
    return found - {part_of(path), "__version__"}


def test_every_part_has_its_layer() -> None:
    assert {part_of(path) for path in FILES} <= {*LAYER, "__init__"}


def test_imports_run_one_way() -> None:
    upwards = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path in FILES
        for other in parts_imported(path)
        if LAYER[other] < LAYER.get(part_of(path), 0) or {other, part_of(path)} <= {*KINDS}
    ]
    assert not upwards


def test_no_part_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(part_of(path), set()).update(parts_imported(path))
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize(
    ("package", "home"), [("deepspeed", "lbkd/training/engine.py"), ("typer", "cli"), ("rich", "cli")]
)
def test_one_home_for_each_framework(package: str, home: str) -> None:
    users = [path for path in FILES if any(name.split(".")[0] == package for name in imported(path))]
    assert users
    assert all(path.is_relative_to(ROOT / home) for path in users)


def test_files_are_small() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {str(path): length for path, length in lengths.items() if length > 310}


@pytest.mark.parametrize("kind", KINDS)
def test_one_public_class_a_file(kind: str) -> None:
    for path in (ROOT / "lbkd" / kind).glob("*.py"):
        if path.stem == "__init__":
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
        assert [name.lower() for name in classes if name[0] != "_"] == [path.stem.replace("_", "")]


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["data", "check", "--help"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True)
    assert done.returncode == 0
    modules = set(done.stderr.split())
    assert "typer" in modules
    assert not {"torch", "transformers", "numpy", "deepspeed"} & modules
