import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks import common
from benchmarks.common import Pairs, Row, alternate, corpus, in_child, options, peak_memory, report


def test_the_median_of_the_pairs_is_held_against_the_goal() -> None:
    pairs = Pairs(ours=[1.0, 2.0, 4.0], peer=[10.0, 30.0, 20.0])
    row = pairs.row("work", goal=10)
    assert (row.ours, row.peer, row.figures) == (2.0, 20.0, [10.0, 15.0, 5.0])
    assert (row.figure, row.verdict) == (10.0, "reached")
    assert pairs.row("work", goal=10.1).verdict == "missed"
    assert pairs.row("work").verdict == ""
    assert pairs.row("work", unit="ms", scale=1e-3).ours == 2000.0
    cells = ["work", "2 s", "20 s", "10.00× (5.00× … 15.00×)", "≥ 10.00×", "reached"]
    assert row.cells() == cells


def test_a_goal_may_be_a_ceiling() -> None:
    row = Row("start", 0.3, None, "s", [0.3], goal=0.4, at_most=True, form="{:.2f} s")
    assert row.verdict == "reached"
    assert row.cells() == ["start", "0.3 s", "–", "0.30 s", "≤ 0.40 s", "reached"]
    assert Row("start", 0.5, None, "s", [0.5], goal=0.4, at_most=True).verdict == "missed"


def test_sides_take_turns() -> None:
    calls: list[str] = []

    def side(name: str, times: Iterator[float]) -> float:
        calls.append(name)
        return next(times)

    mine, theirs = iter([1.0, 2.0]), iter([3.0, 8.0])
    pairs = alternate(lambda: side("ours", mine), lambda: side("peer", theirs), 2)
    assert calls == ["ours", "peer", "ours", "peer"]
    assert pairs.ratios == [3.0, 4.0]


def test_peak_memory_counts_what_was_freed_again_and_not_what_was_there() -> None:
    there = np.ones(40_000_000, dtype=np.uint8)
    with peak_memory() as peak:
        taken = np.ones(30_000_000, dtype=np.uint8)
        del taken
        assert 29 < peak() < 36
    with peak_memory() as peak:
        assert peak() < 6
    assert there.all()


def test_a_child_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match=r"benchmarks\.nothing --side ours failed with exit code 1"):
        in_child("benchmarks.nothing", "--side", "ours")


def test_the_report_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    report("none", [], keep=False)
    assert not (tmp_path / "results").exists()
    report("some", [Row("work", 1.0, 3.0, "s", [3.0], goal=2)], {"windows": 7})
    found = json.loads((tmp_path / "results" / "some.json").read_text(encoding="utf-8"))
    assert (found["rows"][0]["figure"], found["rows"][0]["verdict"]) == (3.0, "reached")
    assert found["details"] == {"windows": 7}
    assert found["machine"]["torch"]


def test_a_missing_xquad_is_told_with_the_way_out(tmp_path: Path) -> None:
    arguments = options("Doc.").parse_args(["--xquad", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"lbkd data download xquad.*--quick"):
        corpus(arguments)
    quick = argparse.Namespace(**{**vars(arguments), "quick": True})
    assert corpus(quick, ("en", "es", "ar")).languages == ("en", "es")  # no training file in ar
