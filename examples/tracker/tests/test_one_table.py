from pathlib import Path

from lbkd_one_table import OneTable

from lbkd import TrackedRun, tracker_registry
from lbkd.testing import check_tracker


def test_lbkd_knows_it() -> None:
    assert tracker_registry.get("one-table") is OneTable
    assert tracker_registry.origin("one-table").startswith("lbkd-one-table ")


def test_what_a_tracker_must_keep_to() -> None:
    check_tracker(OneTable())


def test_a_run_that_goes_on(tmp_path: Path) -> None:
    tracker = OneTable("all.tsv")
    run = TrackedRun("student", tmp_path / "runs" / "student", tmp_path, {})
    for step, finished in ((1, False), (2, True)):
        assert tracker.begin(run) == "student"
        tracker.log(step, {"loss": 2.5 / step})
        tracker.end(finished)
    lines = (tmp_path / "all.tsv").read_text().splitlines()
    assert lines == ["student\t1\tloss\t2.5", "student\t2\tloss\t1.25"]
