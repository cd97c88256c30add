from lbkd_with_source import WithSource

from lbkd import task_registry
from lbkd.testing import check_task


def test_lbkd_knows_it() -> None:
    assert task_registry.get("with-source") is WithSource
    assert task_registry.origin("with-source").startswith("lbkd-with-source ")


def test_what_a_task_must_keep_to() -> None:
    check_task(WithSource())


def test_pairs() -> None:
    """(passage language, question language), each once."""
    pairs = WithSource().pairs(["en", "es", "de"], "en")
    assert pairs == [("en", "en"), ("es", "es"), ("es", "en"), ("de", "de"), ("de", "en")]


def test_teachers() -> None:
    teachers = WithSource().teachers(["en", "es"])
    assert [teacher.name for teacher in teachers] == ["en", "es"]
    assert {teacher.task for teacher in teachers} == {"branch-mrc"}
