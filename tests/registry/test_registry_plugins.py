import pytest
from plugin_source import GOOD, Install

from lbkd import tasks, weighting
from lbkd.errors import ConfigError
from lbkd.registry import Registry, _warn_once
from lbkd.weighting import Weighting


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
        assert "Name one of 'second-stranger:mine', 'stranger:mine'" in str(caught.value)
    assert " and " in registry.origin("mine")
    assert registry.get("other").__module__ == "stranger"
    assert registry.get("stranger:mine").__module__ == "stranger"
    assert registry.origin("second-stranger:mine") == "second-stranger 1.2"


def test_one_package_found_twice_is_one_package(registry: Registry[Weighting], install: Install) -> None:
    install("stranger", "mine = MODULE:Mine", folder="a")
    install("stranger", "mine = MODULE:Mine", folder="b")
    assert registry.origin("mine") == "stranger 1.2"
    assert registry.get("mine").__name__ == "Mine"


def test_a_built_in_name_stays_ours(
    registry: Registry[Weighting], install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    """A package's is reached through the package's name, in any spelling; told once."""
    _warn_once.cache_clear()
    install("strange_er", "fixed = MODULE:Mine")
    for _ in range(2):
        assert registry.get("fixed").__name__ == "Fixed"
    [told] = caplog.messages
    assert told == "weighting 'fixed' is lbkd's own; that of strange_er 1.2 is 'strange-er:fixed'."
    assert {"fixed", "strange-er:fixed"} < set(registry.names())
    for name in ("strange-er:fixed", "Strange_Er:fixed"):
        made = registry.create(name, {"power": 2})
        assert type(made).__module__ == "strange_er"
        assert registry.described(made) == f"weighting {name!r} of strange_er 1.2"
    assert registry.described(registry.create("fixed")).startswith("weighting 'fixed' of lbkd ")
    with pytest.raises(ConfigError, match="no weighting 'other:fixed'; did you mean"):
        registry.get("other:fixed")


def test_a_package_may_use_the_decorator_too(registry: Registry[Weighting], install: Install) -> None:
    source = "from lbkd import weighting_registry\n" + GOOD.replace(
        "class Mine", '@weighting_registry.register("mine")\nclass Mine'
    )
    install("stranger", "mine = MODULE:Mine", source)
    assert registry.get("mine").__name__ == "Mine"
    assert registry.origin("mine") == weighting.registry.origin("mine") == "stranger 1.2"


@pytest.mark.parametrize("name", ["a/b", "../up", ".hidden", "a b", "", "a:b"])
def test_what_is_no_name(registry: Registry[Weighting], name: str) -> None:
    with pytest.raises(ConfigError, match="is no name of a weighting, which folders are named by"):
        registry.register(name)


def test_an_entry_point_without_a_name(registry: Registry[Weighting], install: Install) -> None:
    install("stranger", "a/b = MODULE:Mine\nmine = MODULE:Mine")
    with pytest.raises(ConfigError, match="'a/b' is no name of a weighting"):
        registry.get("a/b")
    assert registry.get("mine").__name__ == "Mine"


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
