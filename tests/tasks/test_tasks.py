from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lbkd.api.words import distill_options
from lbkd.criterions import registry as criterions
from lbkd.errors import ConfigError
from lbkd.tasks import Masking, branch, registry
from lbkd.testing import check_task

LANGUAGES = ["en", "es", "de"]

# (passage language, question language), source English
BRANCHES = {
    "en": [("en", "en"), ("en", "es"), ("en", "de")],
    "es": [("es", "en"), ("es", "es"), ("es", "de")],
    "de": [("de", "en"), ("de", "es"), ("de", "de")],
}
ALL = [
    *[("en", "en"), ("en", "es"), ("en", "de")],
    *[("es", "en"), ("es", "es"), ("es", "de")],
    *[("de", "en"), ("de", "es"), ("de", "de")],
]
PAIRS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("baseline", {}, [("en", "en")]),
    ("translate-train", {"lang": "en"}, [("en", "en")]),
    ("translate-train", {"lang": "de"}, [("de", "de")]),
    ("branch-mrc", {"lang": "en"}, [("en", "en"), ("en", "es"), ("en", "de")]),
    (
        "branch-mrc",
        {"lang": "es"},
        [("es", "en"), ("es", "es"), ("es", "de"), ("en", "en"), ("en", "es"), ("en", "de")],
    ),
    (
        "branch-mrc",
        {"lang": "de"},
        [("de", "en"), ("de", "es"), ("de", "de"), ("en", "en"), ("en", "es"), ("en", "de")],
    ),
    ("mix-mrc", {}, ALL),
    ("distill", {}, ALL),
    ("lakm", {}, [("en", "en")]),
    ("mix-mrc-lakm", {}, ALL),
]


@pytest.mark.parametrize(("name", "options", "expected"), PAIRS)
def test_pairs(name: str, options: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    pairs = registry.create(name, options).pairs(LANGUAGES, "en")
    assert sorted(pairs) == sorted(expected)  # sorted, not a set: none may come twice


@pytest.mark.parametrize(("name", "options", "expected"), PAIRS)
def test_what_a_task_must_keep_to(name: str, options: dict[str, Any], expected: object) -> None:
    check_task(registry.create(name, options))


def test_every_built_in_task_is_written_out_above() -> None:
    built_in = {name for name in registry.names() if registry.origin(name) == "lbkd"}
    assert built_in == {name for name, _, _ in PAIRS}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_branch(lang: str) -> None:
    assert branch(lang, LANGUAGES) == BRANCHES[lang]


@pytest.mark.parametrize("source", LANGUAGES)
@pytest.mark.parametrize("languages", [LANGUAGES, ["de", "es", "en"]])
def test_the_student_learns_the_union_of_the_branches(languages: Sequence[str], source: str) -> None:
    teachers = [registry.create("branch-mrc", {"lang": lang}) for lang in languages]
    union = {pair for teacher in teachers for pair in teacher.pairs(languages, source)}
    pairs = registry.create("distill").pairs(languages, source)
    assert len(pairs) == len(languages) ** 2
    assert set(pairs) == union == {pair for lang in languages for pair in branch(lang, languages)}


def test_another_source_language() -> None:
    assert registry.create("baseline").pairs(LANGUAGES, "es") == [("es", "es")]
    spanish = registry.create("branch-mrc", {"lang": "es"}).pairs(LANGUAGES, "es")
    assert sorted(spanish) == sorted(BRANCHES["es"])
    english = registry.create("branch-mrc", {"lang": "en"}).pairs(LANGUAGES, "es")
    assert sorted(english) == sorted(BRANCHES["en"] + BRANCHES["es"])


def test_one_language_alone() -> None:
    for name, options, _ in PAIRS:
        options = {"lang": "en"} if options else {}
        assert registry.create(name, options).pairs(["en"], "en") == [("en", "en")]


def test_criterion_and_teachers() -> None:
    found = {name: registry.create(name, options) for name, options, _ in PAIRS}
    assert {name: task.criterion for name, task in found.items() if not task.teachers(LANGUAGES)} == {
        "baseline": "nll",
        "translate-train": "nll",
        "branch-mrc": "nll",
        "mix-mrc": "nll",
        "lakm": "mlm",
        "mix-mrc-lakm": "mlm",
    }
    assert found["distill"].criterion == "combined"
    for task in found.values():
        assert criterions.get(task.criterion).needs_teachers == bool(task.teachers(LANGUAGES))


@pytest.mark.parametrize(
    ("options", "label", "expected"),
    [
        (
            {},
            "",
            [("en", "branch-mrc", "en", 0), ("es", "branch-mrc", "es", 0), ("de", "branch-mrc", "de", 0)],
        ),
        ({"teachers": ["en", "es"]}, "en+es", [("en", "branch-mrc", "en", 0), ("es", "branch-mrc", "es", 0)]),
        ({"teachers": ["en", "en"]}, "en", [("en", "branch-mrc", "en", 0)]),
        (
            {"teacher_task": "mix-mrc"},
            "mix-mrc",
            [(f"mix-mrc-{n + 1}", "mix-mrc", None, 1000 * n) for n in range(3)],
        ),
        (
            {"teacher_task": "translate-train", "teachers": ["de"]},
            "translate-train.de",
            [("de", "translate-train", "de", 0)],
        ),
    ],
)
def test_the_teachers_of_the_ablations(
    options: dict[str, Any], label: str, expected: list[tuple[str, str, str | None, int]]
) -> None:
    """Table 6: w/o de, w/ en, w/ mix; D is the same for all of them."""
    task = registry.create("distill", options)
    found = [(who.name, who.task, who.options.get("lang"), who.seed) for who in task.teachers(LANGUAGES)]
    assert (task.label, found) == (label, expected)
    assert sorted(task.pairs(LANGUAGES, "en")) == sorted(ALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teachers": ["en", "fr"]}, "no training language 'fr'.*de, en, es"),
        ({"teachers": []}, "one is needed at least"),
        ({"teachers": ["en"], "teacher_task": "mix-mrc"}, "'mix-mrc' has no language"),
        ({"teachers": ["en", "./reader"]}, "no training language './reader'.*given as NAME=MODEL"),
        ({"teachers": ["en="]}, "'en=': a finished reader is given as NAME=MODEL"),
        ({"teachers": ["a/b=c"]}, "its name in letters, digits"),
        ({"teacher_task": "distill"}, "no teachers of their own"),
        ({"teacher_task": "mixmrc"}, "did you mean 'mix-mrc'"),
    ],
)
def test_teachers_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.create("distill", options).teachers(LANGUAGES)


def test_finished_readers_among_the_teachers(tmp_path: Path) -> None:
    for folder in ("my reader", "run/model"):
        (tmp_path / folder).mkdir(parents=True)
    models = {"en": "org/reader.v2@abc", "es": f"{tmp_path}/my reader", "old": f"{tmp_path}/run/model"}
    task = registry.create("distill", distill_options({**models, "de": None}, None))
    teachers = {teacher.name: teacher for teacher in task.teachers(LANGUAGES)}
    assert {name: teacher.model for name, teacher in teachers.items()} == {**models, "de": None}
    assert teachers["de"].task == "branch-mrc" and not any(teachers[name].task for name in models)
    assert task.label == "de+en=reader.v2+es=my-reader+old=run"
    assert distill_options("de,en=org/reader.v2@abc", None) == {"teachers": ["de", "en=org/reader.v2@abc"]}


def test_what_is_masked() -> None:
    same = [("en", "en"), ("es", "es"), ("de", "de")]
    for name, options, _ in PAIRS:
        task = registry.create(name, options)
        expected = Masking(same, None, 0.15) if "lakm" in name else None
        assert task.masking(LANGUAGES, "en") == expected
        assert criterions.get(task.criterion).needs_masks == (expected is not None)
    for name in ("lakm", "mix-mrc-lakm"):
        task = registry.create(name, {"phrases": "lists", "rate": 0.3})
        assert task.masking(["es"], "es") == Masking([("es", "es")], Path("lists"), 0.3)
        for rate in (0, 1.01):
            with pytest.raises(ConfigError, match=f"^task.{name}: rate = {rate}.*: must be above 0"):
                registry.create(name, {"rate": rate})


@pytest.mark.parametrize("name", ["branch-mrc", "translate-train"])
def test_a_language_without_training_data(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.create(name, {"lang": "dee"}).pairs(LANGUAGES, "en")
    assert "no training language 'dee' (--lang)" in str(caught.value)
    assert "did you mean 'de'? Choices: de, en, es." in str(caught.value)


@pytest.mark.parametrize("name", ["branch-mrc", "translate-train"])
def test_the_branch_must_be_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^'task.{name}.lang' is needed"):
        registry.create(name)


@pytest.mark.parametrize("name", ["baseline", "mix-mrc", "distill", "lakm", "mix-mrc-lakm"])
def test_the_others_take_no_language(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^no option 'task.{name}.lang'"):
        registry.create(name, {"lang": "en"})
