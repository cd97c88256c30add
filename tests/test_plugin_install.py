"""Packages with components, installed by pip as a user would: beside a broken one, and new ones."""

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

from lbkd.config import BUILTIN_CORPUS
from lbkd.registry import KINDS, registry_of
from lbkd.weighting import registry

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "weighting"
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
from lbkd.config import BUILTIN_CORPUS
from lbkd.weighting import registry

rows = {}
for name in registry.names():
    try:
        rows[name] = [registry.origin(name), type(registry.create(name)).__name__]
    except ConfigError as error:
        rows[name] = [registry.origin(name), str(error)]
print(json.dumps(rows))
"""
TRYING = """
import json, sys
from pathlib import Path
from lbkd.registry import KINDS, registry_of
from lbkd.settings import load_settings
from lbkd.training.check import check_component

settings = load_settings({"translation.my-translator.file": sys.argv[1]}, Path(sys.argv[1]).parent)
found = {}
for registry in map(registry_of, KINDS):
    name = f"my-{registry.kind}"
    assert registry.origin(name) == f"lbkd-{name} 0.1.0"
    found[name] = check_component(settings, registry, name)
Path("found.json").write_text(json.dumps(found))
sys.argv[:2] = ["lbkd"]
from lbkd_cli.main import main
main()
"""
"""Tries each new component, as `lbkd check` does, and goes on as the command `lbkd`."""

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


def copied(example: Path, folder: Path) -> Path:
    """A copy of an example, since a build writes beside the source."""
    ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    return Path(shutil.copytree(example, folder / "example", ignore=ignored))


def install(python: Path, *sources: Path) -> None:
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install"]
    run(*pip, "--no-deps", "--no-build-isolation", *sources, cwd=sources[0])


def test_the_example_works_beside_a_broken_package(python: Path, tmp_path: Path) -> None:
    example = copied(EXAMPLE, tmp_path)
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
    assert "test_float32_is_enough[near-gold] PASSED" in report

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


def test_new_packages_of_all_kinds(python: Path, tmp_path: Path, tiny_model_folder: Path) -> None:
    """Written, installed, tested, checked, and used to translate, to train and to track."""
    names = [f"my-{registry_of(kind).kind}" for kind in KINDS]
    for name in names:
        run(python, "-m", "lbkd_cli", "new", name.removeprefix("my-"), name, cwd=tmp_path)
    packages = [tmp_path / name for name in names]
    install(python, *packages)
    for package, name in zip(packages, names, strict=True):
        shutil.rmtree(package / f"lbkd_{name.replace('-', '_')}")  # what was installed is used from here on
    report = run(python, "-m", "pytest", "-v", "-p", "no:cacheprovider", *packages, cwd=tmp_path)
    assert report.count("::test_lbkd_knows_it PASSED") == len(names)
    words = {"the": "el", "The": "El", "bridge": "puente", "Who": "Quién"}
    lines = "".join(f"{word}\t{translation}\n" for word, translation in words.items())
    (tmp_path / "words.tsv").write_text(lines, encoding="utf-8")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for split in ("train", "test"):
        shutil.copy(BUILTIN_CORPUS / f"{split}.en.json", corpus)
    (tmp_path / "lbkd.toml").write_text(
        f"""workspace = "work"
[corpus]
dir = "corpus"
languages = ["en", "es"]
limit = 2
[model]
name = {json.dumps(str(tiny_model_folder))}
[training]
max_steps = 2
log_every = 1
[tracker]
name = ["my-tracker"]
[translation.my-translator]
file = "words.tsv"
"""
    )
    translate = ["translate", "--corpus", "corpus", "--to", "es", "--backend", "my-translator"]
    run(python, "-m", "lbkd_cli", *translate, cwd=tmp_path)
    components = ["--criterion", "my-criterion", "--weighting", "my-weighting", "--json"]
    train = ["train", "--task", "my-task", *components]
    done = json.loads(run(python, "-c", TRYING, tmp_path / "words.tsv", *train, cwd=tmp_path))
    assert json.loads((tmp_path / "found.json").read_text()) == {
        "my-task": {"pairs": ["en en", "es es", "es en"], "teachers": ["en", "es"]},
        "my-criterion": {},
        "my-weighting": {},
        "my-translator": {"en to es": ["El puente was built in 1820.", "Quién built el puente?"]},
        "my-tracker": {},
    }
    name = Path(done["model"]).parent.name
    assert name == "my-task.my-criterion.my-weighting"
    table = [line.split("\t") for line in (tmp_path / "work" / "numbers.tsv").read_text().splitlines()]
    assert {row[0] for row in table} == {"branch-mrc.en", "branch-mrc.es", name}
    told = {(int(step), what): float(number) for run, step, what, number in table if run == name}
    assert len(told) == sum(row[0] == name for row in table)  # each number once a step
    metrics = (tmp_path / "work" / "runs" / name / "metrics.jsonl").read_text().splitlines()
    for line in map(json.loads, metrics):
        assert told[line["step"], "loss"] == line["loss"] == pytest.approx(line["start"] + line["end"])
    scores = {f"test/f1/{row['language']}": row["f1"] for row in done["scores"]}
    assert {what: number for (step, what), number in told.items() if what.startswith("test/f1")} == scores
    student = json.loads(run(python, "-m", "lbkd_cli", "distill", *components, cwd=tmp_path))
    assert Path(student["model"]).parent.name == "distill.my-criterion.my-weighting"
    about = json.loads((tmp_path / "work/runs/distill.my-criterion.my-weighting/run.json").read_text())
    assert about["components"]["weighting"] == "my-weighting"
