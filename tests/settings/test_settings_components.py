"""Names and options of components in the settings."""

from pathlib import Path
from typing import Any

import pytest
from settings_files import refused, wrote

from lbkd import weighting_registry
from lbkd.config import Settings
from lbkd.errors import ConfigError
from lbkd.registry import KINDS
from lbkd.settings import load_settings


def test_names_and_options_of_components(tmp_path: Path) -> None:
    wrote(
        tmp_path,
        "[task]\nname = 'branch-mrc'\n[task.branch-mrc]\nlang = 'es'\n[criterion.combined]\nkd_weight = 0.7\n"
        "[weighting]\nname = 'margin'\nmargin.temperature = 0.5\nimpurity.temperature = 2",
    )
    found = load_settings({"weighting.impurity.temperature": 3, "criterion.name": "kd"}, tmp_path)
    assert (found.task.name, found.criterion.name, found.weighting.name) == ("branch-mrc", "kd", "margin")
    assert found.task.options("branch-mrc") == {"lang": "es"}
    assert found.criterion.options("kd") == {}
    assert found.criterion.options("combined") == {"kd_weight": 0.7}
    assert found.weighting.options("margin") == {"temperature": 0.5}
    assert found.weighting.options("impurity") == {"temperature": 3}


def test_nothing_is_named_by_default() -> None:
    found = Settings()
    assert (found.task.name, found.criterion.name) == (None, None)
    assert (found.weighting.name, found.translation.name) == ("impurity", "seq2seq")
    assert found.weighting.options("impurity") == {}


def test_settings_with_options_are_written_and_read_back(tmp_path: Path) -> None:
    found = load_settings({"weighting.name": "margin", "weighting.margin.temperature": 0.5}, tmp_path)
    assert Settings.model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            {"weighting.temperature": 2},
            "weighting.temperature: options stand under their component's name; for 'impurity': "
            "`[weighting.impurity] temperature = ...` in a file, `--set weighting.impurity.temperature=...`.",
        ),
        ({"criterion.kd_weight": 1}, "criterion.kd_weight: options stand under their component's name;"),
        ({"weighting.impurty.temperature": 2}, "no weighting 'impurty'; did you mean 'impurity'? Choices: "),
        ({"weighting.name": "impurty"}, "no weighting 'impurty'; did you mean 'impurity'? Choices: "),
        ({"task.name": "distil"}, "no task 'distil'; did you mean 'distill'? Choices: "),
        ({"criterion.": {}}, "no criterion ''; choices: "),
        ({"translation.aperture": {}}, "no translator 'aperture'; did you mean 'apertium'? Choices: "),
        ({"weighting.name": 3}, "weighting.name = 3: must be a text; quote what looks like none: --set"),
    ],
)
def test_options_and_names_that_do_not_fit(tmp_path: Path, overrides: dict[str, Any], expected: str) -> None:
    assert refused(overrides, tmp_path).startswith(f"the command line: {expected}")


def test_options_of_other_components_do_no_harm(tmp_path: Path) -> None:
    """Whatever is wrong with them is told where they are used."""
    found = load_settings({"weighting.margin.nonsense": 2}, tmp_path)
    assert weighting_registry.create("impurity", found.weighting.options("impurity"))
    with pytest.raises(ConfigError, match=r"no option 'weighting\.margin\.nonsense'"):
        weighting_registry.create("margin", found.weighting.options("margin"))


def test_every_section_of_components_is_a_section_of_the_settings() -> None:
    for kind in KINDS:
        assert getattr(Settings(), kind).tables == {}
