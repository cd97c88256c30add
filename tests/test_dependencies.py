"""`make licences`, and what `make lint` says of packages' weaknesses."""

import importlib.util
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

PATH = Path(__file__).resolve().parents[1] / "docs" / "dependencies.py"
spec = importlib.util.spec_from_file_location("dependencies", PATH)
assert spec is not None and spec.loader is not None
dependencies: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dependencies)


def test_every_package_with_its_licence() -> None:
    rows = {line.split()[0]: line for line in dependencies.licences()}
    assert {"torch", "numpy", "transformers", "onnx", "starlette"} <= rows.keys()  # extras, too
    assert rows.keys().isdisjoint({"lbkd", "ruff", "pytest", "textbrewer"})
    assert rows["rich"].split(maxsplit=2)[2].startswith("MIT")
    assert "not stated" not in "".join(rows.values())


@pytest.mark.parametrize(
    ("ended", "told", "code", "words"),
    [
        (0, "No known vulnerabilities found", 0, "no known weakness"),
        (1, "Found 2 known vulnerabilities in 1 package", 1, "Found 2 known"),
        (
            1,
            "Traceback\nConnectionError: no route",
            0,
            "not checked for weaknesses (ConnectionError: no route)",
        ),
        (1, "No module named pip_audit", 0, "not checked for weaknesses (No module"),
    ],
)
def test_weaknesses(ended: int, told: str, code: int, words: str) -> None:
    done = subprocess.CompletedProcess([], ended, "a table\n", told)
    with mock.patch.object(subprocess, "run", return_value=done):
        found, text = dependencies.audit()
    assert found == code and words in text
