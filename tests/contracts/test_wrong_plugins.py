"""Thirty plugins that are wrong, and what is told of each before anything is trained."""

from pathlib import Path

import pytest
from wrong_plugins import GOOD, TWICE, WRONG
from wrong_sources import HEAD, checked, task

from lbkd import tasks, trackers, translation
from lbkd.contracts.tasks import check_teachers_are_used
from lbkd.errors import LbkdError
from lbkd.registry.errors import PluginError
from lbkd.registry.files import load_plugin
from lbkd.settings import load_settings
from lbkd.training.check import check_component


@pytest.mark.parametrize(("kind", "source", "told"), WRONG.values(), ids=WRONG)
def test_what_is_told(kind: str, source: str, told: list[str], tmp_path: Path) -> None:
    with pytest.raises(LbkdError) as raised:
        checked(source, tmp_path, kind)
    message = str(raised.value)
    assert all(part in message for part in told), message
    assert "wrong.py" in message, "whose mistake it is"
    assert message.count("\n") <= 2, message


def test_thirty_of_them() -> None:
    assert len(WRONG) >= 30


def test_messages_know_the_tasks_of_others(tmp_path: Path) -> None:
    """A criterion that misses teachers is told all tasks that have some."""
    (tmp_path / "page.py").write_text(HEAD + task(GOOD, TWICE))
    load_plugin(tmp_path / "page.py")
    with pytest.raises(LbkdError, match="'kd' needs teachers, .* use task 'distill' or 'mine', or another"):
        check_teachers_are_used(tasks.registry.create("baseline"), [], "kd")


def test_the_place_in_the_plugin_and_the_whole_traceback(tmp_path: Path) -> None:
    """The last line of the plugin itself, not that of the library which it calls wrongly."""
    source = """
@weighting_registry.register("mine")
class Mine(Weighting):
    def weights(self, logits, context):
        return softened(logits)

def softened(logits):
    return torch.softmax(logits, 7)
"""
    with pytest.raises(PluginError) as raised:
        checked(source, tmp_path, "weighting")
    line = len(HEAD.splitlines()) + 8
    assert f"\n  {tmp_path}/wrong.py:{line} in softened; --debug shows" in str(raised.value)
    assert "return torch.softmax(logits, 7)" in raised.value.traceback
    assert "IndexError" in raised.value.traceback


@pytest.mark.parametrize("name", tasks.registry.names())
def test_our_tasks_pass(name: str, tmp_path: Path) -> None:
    takes = [option.name for option in tasks.registry.options(name)]
    settings = load_settings({f"task.{name}.lang": "es"} if "lang" in takes else {}, tmp_path)
    found = check_component(settings, tasks.registry, name)
    assert found["pairs"]
    assert len(found["teachers"]) == (3 if name == "distill" else 0)


def test_what_only_fit_sets_passes(tmp_path: Path) -> None:
    """The trial fits before it weighs, as a run does; teachers may have places in what is fitted."""
    source = """
@weighting_registry.register("mine")
class Mine(Weighting):
    def fit(self, examples):
        self.bias = torch.arange(len(next(examples)[0])).float()
        return {}

    def weights(self, logits, context):
        return (logits.amax(-1) + self.bias[:, None]).softmax(0)
"""
    checked(source, tmp_path, "weighting")


@pytest.mark.parametrize("name", trackers.registry.names())
@pytest.mark.filterwarnings("ignore")
def test_our_trackers_pass(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name, reason=f"needs the extra lbkd[{name}]")
    settings = load_settings({"tracker.wandb.mode": "offline"}, tmp_path)
    assert check_component(settings, trackers.registry, name) == {}


def test_a_translator_passes(tmp_path: Path) -> None:
    file = tmp_path / "upper.py"
    file.write_text(
        HEAD
        + """
@translation_registry.register("upper")
class Upper(Translator):
    def translate(self, texts, source, target):
        return [text.upper() for text in texts]
"""
    )
    load_plugin(file)
    found = check_component(load_settings({}, tmp_path), translation.registry, "upper")
    assert found == {"en to es": ["THE BRIDGE WAS BUILT IN 1820.", "WHO BUILT THE BRIDGE?"]}
