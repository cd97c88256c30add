"""The example package, installed by pip as a user would, beside one that is broken."""

import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lbkd.weighting import registry

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "weighting-plugin"
BROKEN = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "lbkd-broken"
version = "6.6"
[project.entry-points."lbkd.weighting"]
broken = "lbkd_broken:Broken"
[tool.setuptools]
py-modules = ["lbkd_broken"]
"""
LISTING = """
import json
from lbkd.errors import ConfigError
from lbkd.weighting import registry

rows = {}
for name in registry.names():
    try:
        rows[name] = [registry.origin(name), type(registry.create(name)).__name__]
    except ConfigError as error:
        rows[name] = [registry.origin(name), str(error)]
print(json.dumps(rows))
"""

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a command prints; it has no network, and must end well."""
    offline = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | offline,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of a new environment that sees this one's packages and lbkd."""
    if missing := {name for name in ("pip", "setuptools") if find_spec(name) is None}:
        pytest.skip(f"needs {missing}")
    venv.create(tmp_path / "env", with_pip=False)
    [site] = (tmp_path / "env").glob("lib/python*/site-packages")
    seen = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    added = [f"import site; site.addsitedir({path!r})" for path in seen]
    (site / "seen.pth").write_text("\n".join([*added, str(ROOT)]))
    return tmp_path / "env" / "bin" / "python"


def install(python: Path, source: Path) -> None:
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install"]
    run(*pip, "--no-deps", "--no-build-isolation", source, cwd=source)


def test_the_example_works_beside_a_broken_package(python: Path, tmp_path: Path) -> None:
    example = tmp_path / "example"  # a build writes beside the source
    shutil.copytree(EXAMPLE, example, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    install(python, example)
    shutil.rmtree(example / "lbkd_near_gold")  # what was installed is used from here on

    # Its own tests, and the properties that every weighting has.
    properties = ROOT / "tests" / "weighting" / "test_weighting_properties.py"
    tester: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-c",
        ROOT / "pyproject.toml",
        "-p",
        "no:cacheprovider",
        "-v",
    ]
    report = run(*tester, example / "tests", properties, "-k", "near_gold or near-gold")
    assert "test_lbkd_knows_it PASSED" in report
    assert "test_permuted_teachers_permute_the_weights[near-gold] PASSED" in report

    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "pyproject.toml").write_text(BROKEN)
    (broken / "lbkd_broken.py").write_text("import a_module_that_nobody_has\n")
    install(python, broken)
    found: dict[str, Any] = json.loads(run(python, "-c", LISTING))
    origin, error = found.pop("broken")
    assert origin == "lbkd-broken 6.6"
    assert "weighting 'broken' of lbkd-broken 6.6 cannot be imported (lbkd_broken:Broken)" in error
    assert "No module named 'a_module_that_nobody_has'" in error
    assert found.pop("near-gold") == ["lbkd-near-gold 0.1.0", "NearGold"]
    assert found == {name: [registry.origin(name), registry.get(name).__name__] for name in registry.names()}
