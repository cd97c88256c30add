import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbkd import weighting_registry
from lbkd.errors import ConfigError
from lbkd.registry import PLUGIN_FILE
from lbkd.registry.files import load_plugin
from lbkd.settings import load_settings

SOURCE = """
from lbkd import Weighting, weighting_registry

@weighting_registry.register("mine")
class Mine(Weighting):
    def weights(self, logits, context):
        return logits.amax(-1).softmax(0)
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin file in a folder of its own; forgotten after the test."""
    monkeypatch.setattr(weighting_registry, "_scripted", {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(SOURCE)
    yield tmp_path / "code" / "mine.py"
    for name in [name for name in sys.modules if name.startswith(PLUGIN_FILE)]:
        del sys.modules[name]


def test_a_file_provides_a_component(mine: Path) -> None:
    load_plugin(mine)
    made = weighting_registry.create("mine")
    assert weighting_registry.origin("mine") == "mine.py"
    assert weighting_registry.described(made) == "weighting 'mine' of mine.py"
    assert not list(mine.parent.glob("__pycache__"))


def test_its_source_is_in_the_provenance(mine: Path, tmp_path: Path) -> None:
    """The text that ran, wherever the file lies and whatever it holds by then."""
    load_plugin(mine)
    cls, first = weighting_registry.get("mine"), weighting_registry.provenance("mine", {})
    assert first["package"] == "mine.py"
    load_plugin(mine)
    assert weighting_registry.get("mine") is cls  # not run again
    mine.write_text(SOURCE.replace("amax", "amin"))
    assert weighting_registry.provenance("mine", {}) == first
    load_plugin(mine)
    edited = weighting_registry.provenance("mine", {})
    assert edited["source"] != first["source"]
    del sys.modules[PLUGIN_FILE + "mine"]
    elsewhere = shutil.copy(mine, tmp_path / "mine.py")
    load_plugin(elsewhere)
    assert weighting_registry.provenance("mine", {}) == edited


def test_two_files_of_one_name(mine: Path, tmp_path: Path) -> None:
    load_plugin(mine)
    other = shutil.copy(mine, tmp_path / "mine.py")
    with pytest.raises(ConfigError, match=r"code/mine\.py and .*/mine\.py have the same name; rename one"):
        load_plugin(other)


def test_a_file_that_is_not_there(mine: Path) -> None:
    with pytest.raises(ConfigError, match=r"plugin nowhere\.py: not a readable file of Python: .*No such"):
        load_plugin(Path("nowhere.py"))


def test_the_users_own_settings_name_files(mine: Path, tmp_path: Path) -> None:
    """Relative to lbkd.toml; those of the command line are added."""
    (tmp_path / "lbkd.toml").write_text('plugins = ["code/mine.py"]\nweighting.name = "mine"')
    other = tmp_path / "other.py"
    other.write_text(SOURCE.replace('"mine"', '"other"'))
    settings = load_settings({"plugins": [other]}, tmp_path)
    assert settings.plugins == (mine, other)
    assert settings.weighting.name == "mine"
    assert {"mine", "other"} < set(weighting_registry.names())


@pytest.mark.parametrize("value", ["3", '["mine.py", 4]', '"mine.py"'])
def test_what_names_no_files(value: str, mine: Path, tmp_path: Path) -> None:
    (tmp_path / "lbkd.toml").write_text(f"plugins = {value}")
    with pytest.raises(ConfigError, match=r"lbkd\.toml: plugins"):
        load_settings({}, tmp_path)


def test_a_corpus_cannot_name_files(mine: Path, tmp_path: Path) -> None:
    """Nothing of the file is run, though it lies beside."""
    (mine.parent / "lbkd.toml").write_text('plugins = ["mine.py"]')
    with pytest.raises(ConfigError, match=r"code/lbkd\.toml: plugins: a corpus's own file must not set this"):
        load_settings({"corpus.dir": str(mine.parent)}, tmp_path)
    assert "mine" not in weighting_registry.names()


def test_a_recipe_cannot_name_files(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"table: plugins: a recipe must not set this; use --plugin"):
        load_settings({}, tmp_path, recipe=("table", {"plugins": [str(mine)]}))
    assert "mine" not in weighting_registry.names()
