import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lbkd
from lbkd import criterions, tasks, translation, weighting
from lbkd.errors import ConfigError
from lbkd.registry import Option, Registry
from lbkd.weighting import TeacherContext, Weighting

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
GOOD = """
from lbkd.weighting import Weighting

class Mine(Weighting):
    def __init__(self, power: int, shift: float = 0.5) -> None:
        self.power, self.shift = power, shift

    def weights(self, logits, context):
        return logits[:, :, 0].softmax(0)
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution onto sys.path as pip would: its module and its metadata."""
    modules = set(sys.modules)

    def add(
        package: str, names: str, source: str = GOOD, group: str = "lbkd.weighting", folder: str = ""
    ) -> Path:
        """`names` are lines of entry_points.txt; MODULE stands for the package's module."""
        module = package.replace("-", "_")
        site = tmp_path / (folder or package)
        info = site / f"{module}-1.2.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{names.replace('MODULE', module)}\n")
        monkeypatch.syspath_prepend(str(site))
        return site

    yield add
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def registry() -> Registry[Weighting]:
    """Like that of the weightings, without what other tests register."""
    return Registry("lbkd.weighting", Weighting)  # type: ignore[type-abstract]


# Built in.


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


# Unknown names.


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


# Installed by others.


def test_plugin(registry: Registry[Weighting], install: Install) -> None:
    before = registry.names()
    install("stranger", "mine = MODULE:Mine\nalso-mine = MODULE:Mine")
    assert registry.names() == sorted([*before, "also-mine", "mine"])
    assert registry.origin("mine") == "stranger 1.2"
    assert registry.summary("mine") == ""
    cls = registry.get("mine")
    assert (cls.__module__, cls.__name__) == ("stranger", "Mine")
    assert registry.get("also-mine") is cls
    assert vars(registry.create("mine", {"power": 3})) == {"power": 3, "shift": 0.5}


def test_a_plugin_belongs_to_its_group(install: Install) -> None:
    install("stranger", "mine = MODULE:Mine", group="lbkd.tasks")
    assert "mine" in tasks.registry.names()
    assert "mine" not in weighting.registry.names()


def test_the_nearest_name_may_be_a_plugins(registry: Registry[Weighting], install: Install) -> None:
    install("stranger", "sharpest = MODULE:Mine")
    with pytest.raises(ConfigError, match="did you mean 'sharpest'"):
        registry.get("sharpst")


@pytest.mark.parametrize("same", [False, True])
def test_two_packages_with_one_name(registry: Registry[Weighting], install: Install, same: bool) -> None:
    install("stranger", "mine = MODULE:Mine\nother = MODULE:Mine")
    install("second-stranger", "mine = stranger:Mine" if same else "mine = MODULE:Mine")
    assert registry.names().count("mine") == 1
    for ask in (registry.get, registry.create, registry.options):
        with pytest.raises(ConfigError) as caught:
            ask("mine")
        assert "weighting 'mine' is claimed by" in str(caught.value)
        assert "stranger 1.2" in str(caught.value).replace("second-stranger 1.2", "")
        assert "second-stranger 1.2" in str(caught.value)
        assert "Uninstall one of them" in str(caught.value)
    assert " and " in registry.origin("mine")
    assert registry.get("other").__module__ == "stranger"


def test_one_package_found_twice_is_one_package(registry: Registry[Weighting], install: Install) -> None:
    install("stranger", "mine = MODULE:Mine", folder="a")
    install("stranger", "mine = MODULE:Mine", folder="b")
    assert registry.origin("mine") == "stranger 1.2"
    assert registry.get("mine").__name__ == "Mine"


def test_a_plugin_with_a_built_in_name(registry: Registry[Weighting], install: Install) -> None:
    install("stranger", "fixed = MODULE:Mine")
    with pytest.raises(ConfigError, match=r"weighting 'fixed' is claimed by lbkd and stranger 1\.2\."):
        registry.get("fixed")
    assert registry.get("impurity").__name__ == "Impurity"


BROKEN = {
    "import": "import a_module_that_nobody_has",
    "syntax": "class Mine(",
    "exception": "raise RuntimeError('out of order')",
    "exit": "raise SystemExit(3)",
    "absent": "",
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_breaks_only_itself(
    registry: Registry[Weighting], install: Install, source: str
) -> None:
    install("broken", "bad = MODULE:Mine", source)
    install("stranger", "mine = MODULE:Mine")
    assert {"bad", "mine", "fixed"} <= set(registry.names())
    assert registry.origin("bad") == "broken 1.2"
    assert registry.summary("bad") == ""
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            registry.get("bad")
        assert "weighting 'bad' of broken 1.2 cannot be imported (broken:Mine)" in str(caught.value)
        assert "others are not affected" in str(caught.value)
    for name in set(registry.names()) - {"bad"}:
        assert issubclass(registry.get(name), Weighting)


def test_the_error_of_a_broken_plugin_holds_what_went_wrong(
    registry: Registry[Weighting], install: Install
) -> None:
    install("broken", "bad = MODULE:Mine", BROKEN["exception"])
    with pytest.raises(ConfigError, match="RuntimeError: out of order") as caught:
        registry.get("bad")
    assert isinstance(caught.value.__cause__, RuntimeError)


WRONG = {
    "another class": "class Mine: pass",
    "a function": "def Mine(): pass",
    "an instance": GOOD + "\nMine = Mine(1)",
    "another kind": "from lbkd.criterions.nll import Nll as Mine",
}


@pytest.mark.parametrize("source", WRONG.values(), ids=WRONG)
def test_a_plugin_of_the_wrong_kind(registry: Registry[Weighting], install: Install, source: str) -> None:
    install("wrong", "bad = MODULE:Mine", source)
    with pytest.raises(ConfigError, match=r"not a subclass of lbkd\.weighting\.Weighting") as caught:
        registry.get("bad")
    assert "weighting 'bad' of wrong 1.2 is " in str(caught.value)


@pytest.mark.parametrize("value", ["MODULE", "MODULE:Weighting"])
def test_a_plugin_that_names_no_component(
    registry: Registry[Weighting], install: Install, value: str
) -> None:
    install("wrong", f"bad = {value}")
    with pytest.raises(ConfigError, match="not a subclass of|does not implement weights"):
        registry.get("bad")


def test_a_plugin_without_its_method(registry: Registry[Weighting], install: Install) -> None:
    install("half", "bad = MODULE:Mine", "from lbkd.weighting import Weighting\nclass Mine(Weighting): pass")
    with pytest.raises(ConfigError, match=r"weighting 'bad' of half 1\.2 does not implement weights\."):
        registry.get("bad")


# Registered by a script.


class Scripted(Weighting):
    """The first teacher alone."""

    def __init__(self, power: int, shift: float = 0.5, only: str | None = None) -> None:
        self.power, self.shift, self.only = power, shift, only

    def weights(self, logits: Any, context: TeacherContext) -> Any:
        weights = logits[:, :, 0] * 0
        weights[0] = 1
        return weights


def test_decorator(registry: Registry[Weighting]) -> None:
    assert registry.register("mine")(Scripted) is Scripted
    assert "mine" in registry.names()
    assert registry.get("mine") is Scripted
    assert registry.origin("mine") == f"the script's {__name__}"
    assert "mine" not in weighting.registry.names()


def test_decorator_refuses_a_name_that_is_taken(registry: Registry[Weighting], install: Install) -> None:
    install("stranger", "sharpest = MODULE:Mine")

    class Other(Scripted):
        pass

    registry.register("mine")(Scripted)
    for name, owner in [("fixed", "lbkd"), ("sharpest", "stranger 1.2"), ("mine", "the script's ")]:
        with pytest.raises(ConfigError, match=f"weighting '{name}' is already provided by {owner}"):
            registry.register(name)(Other)
    assert registry.get("mine") is Scripted


def test_a_notebooks_cell_may_register_anew(registry: Registry[Weighting]) -> None:
    again = type("Scripted", (Scripted,), {"__qualname__": Scripted.__qualname__})
    registry.register("mine")(Scripted)
    registry.register("mine")(again)
    assert registry.get("mine") is again


def test_a_plugin_with_a_scripts_name(registry: Registry[Weighting], install: Install) -> None:
    registry.register("mine")(Scripted)
    install("stranger", "mine = MODULE:Mine")
    with pytest.raises(ConfigError, match=r"claimed by stranger 1\.2 and the script's "):
        registry.get("mine")


def test_decorator_refuses_the_wrong_kind(registry: Registry[Weighting]) -> None:
    class Half(Weighting):
        pass

    with pytest.raises(ConfigError, match=r"'mine' is .*not a subclass of lbkd\.weighting\.Weighting"):
        registry.register("mine")(int)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'mine' does not implement weights"):
        registry.register("mine")(Half)
    assert "mine" not in registry.names()


# Options.


def test_options(registry: Registry[Weighting]) -> None:
    registry.register("mine")(Scripted)
    assert registry.options("mine") == [
        Option("power", "int", ""),
        Option("shift", "float", "0.5"),
        Option("only", "str | None", "None"),
    ]
    assert registry.options("impurity") == [Option("temperature", "float", "1.0")]
    assert registry.options("language-match") == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"power": 3}, (3, 0.5, None)),
        ({"power": "3", "shift": 1, "only": "en"}, (3, 1.0, "en")),
        ({"power": 2, "shift": "1e-3"}, (2, 0.001, None)),
    ],
)
def test_create(
    registry: Registry[Weighting], options: dict[str, Any], expected: tuple[int, float, str | None]
) -> None:
    registry.register("mine")(Scripted)
    made = registry.create("mine", options)
    assert isinstance(made, Scripted)
    assert (made.power, made.shift, made.only) == expected
    assert [type(part) for part in (made.power, made.shift)] == [int, float]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "weighting 'mine': 'power' is needed."),
        ({"power": 3, "shft": 1}, "no option 'shft'; did you mean 'shift'? Choices: only, power, shift."),
        ({"power": "three"}, "weighting 'mine': power = 'three': Input should be a valid integer"),
        ({"power": 2.5}, "weighting 'mine': power = '2.5': Input should be a valid integer"),
        ({"power": 3, "only": 4}, "weighting 'mine': only = '4': Input should be a valid string"),
        ({"power": [3]}, "weighting 'mine': power = '[3]': Input should be a valid integer"),
        ({"self": 1}, "weighting 'mine': no option 'self'"),
    ],
)
def test_create_checks_the_options(
    registry: Registry[Weighting], options: dict[str, Any], expected: str
) -> None:
    registry.register("mine")(Scripted)
    with pytest.raises(ConfigError) as caught:
        registry.create("mine", options)
    assert expected in str(caught.value)


def test_a_component_without_options_says_so(registry: Registry[Weighting]) -> None:
    with pytest.raises(ConfigError, match="weighting 'language-match': no option 'x'; choices: none"):
        registry.create("language-match", {"x": 1})
