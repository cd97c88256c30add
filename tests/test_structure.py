"""Imports run one way only, heavy packages are imported late, and rooms, files and signatures stay small."""

import ast
import graphlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "lbkd").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])
OTHERS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
MOST_FILES, MOST_LINES, MOST_PARAMETERS = 15, 300, 7
LAYERS = (
    ("cli",),
    ("api",),
    ("reproduction", "reporting"),
    ("planning",),
    ("training", "prediction"),
    ("engine",),
    ("audit",),
    ("exporting", "calibration", "serving"),
    ("evaluation", "inference"),
    ("project",),
    ("testing",),
    ("contracts",),
    ("tasks", "criterions", "weighting", "teachers", "tracking"),
    ("models",),
    ("features",),
    ("corpus_translation", "conversion"),
    ("translation", "recovery", "corpus", "datasets", "phrases", "trackers"),
    ("distributed",),
    (
        *("workspace", "outputs", "locks", "config", "settings", "registry", "provenance", "options"),
        *("progress", "errors", "scripts", "graphemes", "randomness"),
    ),
)
LAYER = {part: number for number, layer in enumerate(LAYERS) for part in layer}
KINDS = ("tasks", "criterions", "weighting", "translation", "trackers")
MAIN = """import atexit, sys
from lbkd_cli.main import main
atexit.register(lambda: print(*(name.partition(".")[0] for name in sys.modules), file=sys.stderr))
main()"""


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to: cli, or the name below lbkd."""
    inside = path.relative_to(ROOT)
    return "cli" if inside.parts[0] == "cli" else inside.with_suffix("").parts[1]


def imported(path: Path) -> set[str]:
    """Full names of all imported modules and names.

    Imports under TYPE_CHECKING count too: a file that names a type of a higher layer depends on that layer.
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
    """The parts of the package that a file imports, without its own part."""
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
    ("package", "home"),
    [
        ("deepspeed", "lbkd/engine"),
        ("starlette", "lbkd/serving"),
        ("matplotlib", "lbkd/reporting"),
        ("typer", "cli"),
        ("rich", "cli"),
    ],
)
def test_one_home_for_each_framework(package: str, home: str) -> None:
    users = [path for path in FILES if any(name.split(".")[0] == package for name in imported(path))]
    assert users
    assert all(path.is_relative_to(ROOT / home) for path in users)


def test_files_are_small() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in [*FILES, *OTHERS]}
    assert {str(path): lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_rooms_are_small() -> None:
    rooms = Counter(path.parent for path in FILES)
    assert {str(room): files for room, files in rooms.items() if files > MOST_FILES} == {}


def functions(path: Path) -> Iterator[tuple[str, list[ast.arg]]]:
    """(qualified name, parameters without self and cls) of every function in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    owners = {
        function: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for function in node.body
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            owner = f"{owners[node].name}." if node in owners else ""
            yield owner + node.name, [each for each in parameters if each.arg not in ("self", "cls")]


def is_command(parameters: list[ast.arg]) -> bool:
    """True if a parameter's annotation names typer: one parameter for each option of the command line."""
    return any(
        isinstance(node, ast.Name) and node.id == "typer"
        for parameter in parameters
        if parameter.annotation is not None
        for node in ast.walk(parameter.annotation)
    )


def test_signatures_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {name} takes {len(parameters)} parameters"
        for path in FILES
        for name, parameters in functions(path)
        if len(parameters) > MOST_PARAMETERS and not is_command(parameters)
    ]
    assert long == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_public_class_a_file(kind: str) -> None:
    for path in (ROOT / "lbkd" / kind).glob("*.py"):
        if path.stem == "__init__":
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
        assert [name.lower() for name in classes if name[0] != "_"] == [path.stem.replace("_", "")]


def imported_packages(*arguments: str) -> set[str]:
    """The top-level packages that are imported when a command line has run without an error."""
    done = subprocess.run([sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["data", "check", "--help"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    packages = imported_packages(*arguments)
    assert "typer" in packages
    assert not {"torch", "transformers", "numpy", "deepspeed"} & packages


@pytest.mark.parametrize("command", ["data stats", "evaluate"])
def test_commands_that_train_nothing_do_not_import_deepspeed(
    command: str, tiny_model_folder: Path, tmp_path: Path
) -> None:
    model = str(tiny_model_folder)
    asked = ["evaluate", model] if command == "evaluate" else ["data", "stats", "--model", model]
    small = ["--languages", "en", "--set", "corpus.limit=1", "--set", "corpus.zero_shot=es"]
    packages = imported_packages(*asked, *small, "--workspace", str(tmp_path))
    assert "transformers" in packages
    assert "deepspeed" not in packages
