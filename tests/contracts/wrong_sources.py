"""Sources of plugins for tests, and the check of one."""

from pathlib import Path
from typing import Any

from lbkd.registry import registry_of
from lbkd.registry.files import load_plugin
from lbkd.settings import load_settings
from lbkd.training.check import check_component

HEAD = """
import torch
from torch import nn
from lbkd import Criterion, Task, Tracker, Translator, Weighting
from lbkd import criterion_registry, task_registry, tracker_registry, translation_registry, weighting_registry
from lbkd.criterions import Loss
from lbkd.tasks import Teacher
"""


def checked(source: str, folder: Path, kind: str) -> Any:
    """Load a plugin file and try its component of the name `mine`."""
    file = folder / "wrong.py"
    file.write_text(HEAD + source)
    load_plugin(file)
    settings = load_settings({"corpus.languages": "en,es,de"}, folder)
    return check_component(settings, registry_of(kind), "mine")


def weighting(body: str, more: str = "", base: str = "Weighting") -> str:
    """A weighting whose `weights` has this body."""
    return f"""
@weighting_registry.register("mine")
class Mine({base}):
{more}
    def weights(self, logits, context):
        {body}
"""


def criterion(body: str, more: str = "") -> str:
    """A criterion whose `__call__` has this body."""
    return f"""
@criterion_registry.register("mine")
class Mine(Criterion):
{more}
    def __call__(self, student, batch, teachers):
        nll = -student.start.log_softmax(-1).gather(1, batch.starts[:, None])
        {body}
"""


def task(pairs: str, more: str = "") -> str:
    """A task with these pairs."""
    return f"""
@task_registry.register("mine")
class Mine(Task):
{more}
    def pairs(self, languages, source):
        return {pairs}
"""


def translator(body: str, more: str = "") -> str:
    """A translator whose `translate` has this body."""
    return f"""
@translation_registry.register("mine")
class Mine(Translator):
{more}
    def translate(self, texts, source, target):
        {body}
"""
