from typing import Any

import pytest
from plugin_source import Install

from lbkd import weighting
from lbkd.errors import ConfigError
from lbkd.registry import Option, Registry
from lbkd.weighting import TeacherContext, Weighting


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
        ({}, "'weighting.mine.power' is needed: --set weighting.mine.power=VALUE"),
        (
            {"power": 3, "shft": 1},
            "no option 'weighting.mine.shft'; did you mean 'weighting.mine.shift'?",
        ),
        ({"power": "three"}, "weighting.mine.power = 'three': Input should be a valid integer"),
        ({"power": 2.5}, "weighting.mine.power = '2.5': Input should be a valid integer"),
        ({"power": 3, "only": 4}, "weighting.mine.only = 4: must be a text; quote"),
        ({"power": [3]}, "weighting.mine.power = '[3]': Input should be a valid integer"),
        ({"self": 1}, "no option 'weighting.mine.self'"),
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
    with pytest.raises(ConfigError, match="no option 'weighting.language-match.x'; choices: none"):
        registry.create("language-match", {"x": 1})
