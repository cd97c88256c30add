"""The examples and the messages of docs/plugins.md."""

import re
from pathlib import Path

import pytest
from wrong_plugins import WRONG
from wrong_sources import checked

from lbkd.errors import LbkdError
from lbkd.registry import KINDS, registry_of
from lbkd.registry.files import load_plugin
from lbkd.settings import load_settings
from lbkd.training.check import check_component

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.S)
MISTAKES = re.findall(r"^\| (.+?) \| `+ ?(.+?) ?`+ \|$", PAGE.partition("## Mistakes")[2], re.M)


def test_every_kind_has_a_section_and_an_example(tmp_path: Path) -> None:
    """The examples make one plugin file, whose components pass the check."""
    (tmp_path / "page.py").write_text("\n".join(EXAMPLES))
    load_plugin(tmp_path / "page.py")
    settings = load_settings({}, tmp_path)
    for kind in KINDS:
        registry = registry_of(kind)
        assert f"## A {registry.kind}" in PAGE
        [name] = registry.registered_in("lbkd_plugin_page")
        found = check_component(settings, registry, name)
        if kind == "translation":
            assert found["en to es"][1] == "WHO BUILT THE BRIDGE?!"
        if kind == "task":
            assert found == {"pairs": ["en en", "es es", "de de"], "teachers": ["en", "es", "de"]}


@pytest.mark.parametrize(("mistake", "message"), MISTAKES)
def test_messages_are_those_of_the_page(mistake: str, message: str, tmp_path: Path) -> None:
    kind, source, _ = WRONG[mistake]
    with pytest.raises(LbkdError) as raised:
        checked(source, tmp_path, kind)
    assert message in str(raised.value)


def test_the_page_has_mistakes() -> None:
    assert len(MISTAKES) > 15
