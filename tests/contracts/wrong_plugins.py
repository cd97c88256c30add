"""Plugins that are wrong: kind, source, and parts of what must be told."""

from pathlib import Path
from typing import Any

from wrong_trackers import WRONG_TRACKERS

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


EQUAL = "return torch.full_like(logits[:, :, 0], 1 / len(logits))"
DISTRIBUTION = "must be finite, at least 0, and sum to 1 over the teachers"
GOOD = "[(language, language) for language in languages]"
OWN = '    def teachers(self, languages):\n        return [Teacher("en", "mine")]'
TWICE = """    def teachers(self, languages):
        return [Teacher("en", "branch-mrc", {"lang": "en"}), Teacher("en", "branch-mrc", {"lang": "es"})]"""

WRONG = {
    "weights that sum to the teachers": (
        "weighting",
        weighting("return torch.ones_like(logits[:, :, 0])"),
        [DISTRIBUTION, "en 1, es 1, de 1 in example 1 of 3 (sum 3)", "a padded batch"],
    ),
    "weights of zero": (
        "weighting",
        weighting("return torch.zeros_like(logits[:, :, 0])"),
        [DISTRIBUTION, "en 0, es 0, de 0", "(sum 0)"],
    ),
    "a weight below zero": (
        "weighting",
        weighting("return torch.tensor([2.0, -1.0, 0.0])[:len(logits), None].expand(logits.shape[:2])"),
        [DISTRIBUTION, "en 2, es -1, de 0 in example 1"],
    ),
    "softmax over the examples": (
        "weighting",
        weighting("return logits.amax(-1).softmax(1)"),
        [DISTRIBUTION, "in example 1 of 3"],
    ),
    "one weight for all examples": (
        "weighting",
        weighting("return logits.amax((1, 2), keepdim=True)[:, :, 0].softmax(0)"),
        ["a float32 tensor of shape (3, 1)", "shape (3, 3) on cpu", "3 teachers (K) and 3 examples (B)"],
    ),
    "one teacher's weights": (
        "weighting",
        weighting("return torch.ones_like(logits[:1, :, 0])"),
        ["shape (1, 3)", "needed is a float32 tensor of shape (3, 3)"],
    ),
    "entropy at padding": (
        "weighting",
        weighting("p = logits.softmax(-1); return (p * logits.log_softmax(-1)).sum(-1).softmax(0)"),
        [DISTRIBUTION, "en nan, es nan, de nan in example 2", "Padding is -inf", "context.mask"],
    ),
    "whole numbers": (
        "weighting",
        weighting("return (logits.argmax(-1) * 0 + 1)"),
        ["a int64 tensor of shape (3, 3)", "needed is a float32"],
    ),
    "a list": ("weighting", weighting("return [1.0]"), ["`weights` returns a list; needed is a float32"]),
    "nothing": ("weighting", weighting("pass"), ["`weights` returns a NoneType"]),
    "logits changed in place": (
        "weighting",
        weighting("logits.mul_(50); " + EQUAL),
        ["changes its argument logits in place", "logits.clone()"],
    ),
    "logits changed behind autograd": (
        "weighting",
        weighting("logits.data[0] = 0; " + EQUAL),
        ["changes its arguments, which others read too"],
    ),
    "a parameter of a weighting": (
        "weighting",
        weighting(EQUAL, "    def __init__(self):\n        self.scale = nn.Parameter(torch.ones(()))"),
        ["'scale' holds a trainable torch.nn.Parameter", "learn it in `fit`"],
    ),
    "a network in a weighting": (
        "weighting",
        weighting(EQUAL, "    def __init__(self):\n        self.gate = [nn.Linear(2, 2)]"),
        ["'gate' holds a trainable", "requires_grad_(False)"],
    ),
    "an exception": (
        "weighting",
        weighting("return logits.no_such_thing"),
        ["weighting 'mine' of wrong.py: `weights` raised AttributeError", "no_such_thing", " in weights"],
    ),
    "an error of the system": (
        "weighting",
        weighting("open('/nowhere/weights.txt')"),
        ["`weights` raised FileNotFoundError: [Errno 2]", "/nowhere/weights.txt", " in weights"],
    ),
    "the program's end": ("weighting", weighting("raise SystemExit(0)"), ["`weights` raised SystemExit: 0"]),
    "weights by the other examples": (
        "weighting",
        weighting("return (logits.amax(-1) - logits.amax(-1).mean(1, keepdim=True)).softmax(0)"),
        ["other examples of the batch change its weights", "each example counts by itself"],
    ),
    "weights by the padding": (
        "weighting",
        weighting("return (logits.amax(-1) * logits.shape[-1]).softmax(0)"),
        ["more padding changes its weights"],
    ),
    "a fit without numbers": (
        "weighting",
        weighting(EQUAL, "    def fit(self, examples):\n        return None"),
        ["`fit` returns None; needed is a dictionary of numbers by name"],
    ),
    "a fit that learns what no checkpoint can hold": (
        "weighting",
        weighting(EQUAL, "    def fit(self, examples):\n        self.rule = lambda: 1\n        return {}"),
        ["weighting 'mine' of wrong.py: checkpoints cannot hold its attributes rule"],
    ),
    "a constructor that fails": (
        "weighting",
        weighting(EQUAL, "    def __init__(self, rate: float = 0.0):\n        self.rate = 1 / rate"),
        ["its constructor raised ZeroDivisionError", " in __init__"],
    ),
    "a tensor for a loss": (
        "criterion",
        criterion("return nll.mean()"),
        ["its loss is a Tensor; needed is a Loss", "from lbkd.criterions import Loss"],
    ),
    "a loss for each example": (
        "criterion",
        criterion("return Loss(nll[:, 0])"),
        ["float32 total of shape (3,)", "a float32 scalar", "the mean over the examples"],
    ),
    "a sum over the examples": (
        "criterion",
        criterion("return Loss(nll.sum())"),
        ["its loss is not the mean over the examples", "a padded batch"],
    ),
    "a loss without a gradient": (
        "criterion",
        criterion("return Loss(nll.mean().detach())"),
        ["has no gradient"],
    ),
    "a number for a loss": (
        "criterion",
        criterion("return Loss(1.0)"),
        ["has a total of type float; needed is a scalar tensor"],
    ),
    "kl_div at padding": (
        "criterion",
        criterion(
            "log_q, p = student.start.log_softmax(-1), teachers.start.softmax(-1); "
            "return Loss(nn.functional.kl_div(log_q, p, reduction='batchmean'))",
            "    needs_teachers = True",
        ),
        ["its loss is nan", "padding is -inf", "batch.mask"],
    ),
    "a gradient that is not finite": (
        "criterion",
        criterion("return Loss(nll.mean() + (student.start[:, 0] * 0).sqrt().mean())"),
        ["gradient that is not finite"],
    ),
    "a part for each example": (
        "criterion",
        criterion("return Loss(nll.mean(), {'each': nll})"),
        ["has a part 'each' that is no scalar"],
    ),
    "teachers without needs_teachers": (
        "criterion",
        criterion("return Loss((student.start - teachers.start).mean())"),
        ["its loss raised AttributeError: 'NoneType' object has no attribute 'start'"],
    ),
    "needs_masks without masked": (
        "criterion",
        criterion("return Loss(nll.mean())", "    needs_masks = True"),
        ["`masked` raised NotImplementedError", "no method masked"],
    ),
    "a parameter of a criterion": (
        "criterion",
        criterion(
            "return Loss(nll.mean())", "    def __init__(self):\n        self.w = nn.Parameter(torch.ones(1))"
        ),
        ["'w' holds a trainable torch.nn.Parameter", "make it an option"],
    ),
    "an unknown language": (
        "task",
        task("[('en', 'fr')]"),
        ["`pairs` has ('en', 'fr'), and 'fr' is no training language", "choices: de, en, es"],
    ),
    "a pair twice": ("task", task("[('en', 'en')] * 2"), ["`pairs` has ('en', 'en') twice"]),
    "no pair": ("task", task("[]"), ["`pairs` is empty"]),
    "no pairs of languages": ("task", task("languages"), ["`pairs` has 'en'; needed are (passage language,"]),
    "two teachers of one name": ("task", task(GOOD, TWICE), ["two of its `teachers` are called 'en'"]),
    "its own teacher": (
        "task",
        task(GOOD, OWN),
        ["teacher 'en' learns by task 'mine', which has teachers itself"],
    ),
    "a label that is a path": ("task", task(GOOD, "    label = 'a/b'"), ["its label 'a/b' names a folder"]),
    "too few translations": (
        "translation",
        translator("return texts[:1]"),
        ["translator 'mine' of wrong.py: `translate` returns 1 texts for 2"],
    ),
    "None among translations": (
        "translation",
        translator("return [texts[0], None]"),
        ["`translate` returns None for text 1"],
    ),
    "one text for all": ("translation", translator("return ' '.join(texts)"), ["`translate` returns a str"]),
    "an option that is not kept": (
        "translation",
        translator("return texts", "    def __init__(self, tone: str = 'formal'):\n        pass"),
        ["`fingerprint` raised KeyError: 'tone'"],
    ),
    **WRONG_TRACKERS,
    "a syntax error": ("weighting", "class Mine(", ["raised SyntaxError", "wrong.py:"]),
    "nothing registered": (
        "weighting",
        "class Mine(Weighting): pass",
        ["registers nothing", "@weighting_registry"],
    ),
    "a built-in's name": (
        "weighting",
        weighting(EQUAL).replace('"mine"', '"impurity"'),
        ["weighting 'impurity' is already provided by lbkd; take another name"],
    ),
    "a path for a name": (
        "weighting",
        weighting(EQUAL).replace('"mine"', '"a/b"'),
        ["'a/b' is no name of a weighting"],
    ),
    "without its method": (
        "weighting",
        '@weighting_registry.register("mine")\nclass Mine(Weighting): pass',
        ["weighting 'mine' does not implement weights"],
    ),
}
