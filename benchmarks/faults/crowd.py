"""Two to four commands at once: they end well, or are refused in a sentence; nothing is half made."""

import re
from collections import Counter
from collections.abc import Sequence

from benchmarks.faults.ground import STUDENT
from benchmarks.faults.processes import PATIENCE, forked, wrong_words
from benchmarks.faults.report import Table
from benchmarks.faults.scenes import Scene, content, difference

_REFUSALS = ("another process", "exists already")


def crowd(scene: Scene, times: int, table: Table) -> None:
    """Start the same command several times at once."""
    for n in range(times):
        number = 2 + n % 3
        wrong = at_once(scene, [scene.words] * number)
        table.add("at once", f"{scene.name}, {number} commands", wrong or scene.completed())


def teachers(scene: Scene, times: int, table: Table) -> None:
    """Start the trainings of two teachers at once, and then the student that learns from them.

    The student is compared alone: teachers that a command of their own trained are scored, too.
    """
    options = scene.words[1:]
    each = [["train", "--task", "branch-mrc", "--lang", language, *options] for language in ("en", "es")]
    for _ in range(times):
        wrong = at_once(scene, each, whole=False)
        started = scene.begin()
        wrong = wrong or scene.wrong_end(started, started.wait(), f"runs/{STUDENT}/")
        table.add("at once", "two teachers", wrong)


def at_once(scene: Scene, commands: Sequence[Sequence[str]], whole: bool = True) -> str:
    """What is wrong after several commands at once; `whole`: they leave all that the scene leaves."""
    scene.reset()
    outputs = [scene.place.parent / f"crowd.{n}" for n in range(len(commands))]
    started = [forked(words, out, before=scene.before) for words, out in zip(commands, outputs, strict=True)]
    codes = [each.wait(len(commands) * PATIENCE)[0] for each in started]
    told = [each.told() for each in started]
    for code, text in zip(codes, told, strict=True):
        refused = code == 2 and any(word in text for word in _REFUSALS)
        if (code and not refused) or wrong_words(text):
            return f"ended with {code}: {text.strip()[-500:]}"
    if all(codes):
        return "all were refused"
    trained = Counter(re.findall(r"^(\S+) 4/4  loss", "".join(told), re.MULTILINE))
    if twice := [name for name, count in trained.items() if count > 1]:
        return f"trained twice: {', '.join(twice)}"
    return difference(scene.sound, content(scene.place)) if whole else ""
