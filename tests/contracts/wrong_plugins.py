"""Plugins that are wrong: kind, source, and parts of what must be told."""

from wrong_sources import criterion, task, translator, weighting
from wrong_trackers import WRONG_TRACKERS
from wrong_weightings import EQUAL, WEIGHTINGS

GOOD = "[(language, language) for language in languages]"
OWN = '    def teachers(self, languages):\n        return [Teacher("en", "mine")]'
TWICE = """    def teachers(self, languages):
        return [Teacher("en", "branch-mrc", {"lang": "en"}), Teacher("en", "branch-mrc", {"lang": "es"})]"""


WRONG = {
    **WEIGHTINGS,
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
    "teachers' logits changed in place": (
        "criterion",
        criterion(
            "teachers.start.div_(2); return Loss(nll.mean())",
            "    needs_teachers = True",
        ),
        ["changes its argument teachers.start in place", "start.clone()"],
    ),
    "a part of the loss called loss": (
        "criterion",
        criterion("return Loss(nll.mean(), {'loss': 1.0})"),
        ["has a part called 'loss'; take another name"],
    ),
    "teachers that the criterion ignores": (
        "task",
        task(GOOD, TWICE.replace('Teacher("en", "branch-mrc", {"lang": "en"}), ', "")),
        ["task 'mine' of wrong.py has teachers, and criterion 'nll' does not learn from them", "'combined'"],
    ),
    "teachers that are texts": (
        "task",
        task(GOOD, "    def teachers(self, languages):\n        return languages"),
        ["`teachers` has 'en'; needed are lbkd.tasks.Teacher(name, task, options)"],
    ),
    "a teacher of an unknown task": (
        "task",
        task(GOOD, OWN.replace('"mine"', '"branch-mrk"')),
        ["teacher 'en': no task 'branch-mrk'; did you mean 'branch-mrc'?"],
    ),
    "a teacher without its language": (
        "task",
        task(GOOD, OWN.replace('"mine"', '"branch-mrc"')),
        ["teacher 'en': 'task.branch-mrc.lang' is needed"],
    ),
}
