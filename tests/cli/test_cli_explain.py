"""`lbkd explain` over a student that kept nothing: its teachers' logits are there, and then they are gone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUN = "distill.combined.impurity"


@pytest.mark.slow
def test_a_student_is_explained(
    lbkd: Callable[..., Any], refused: Callable[..., str], student: Any, workspace: Path, tmp_path: Path
) -> None:
    here = ["--workspace", workspace]
    found = lbkd("explain", RUN, "--json", "--limit", 2, *here).json
    assert (found["run"], found["weighting"], found["kept"], found["lacks"]) == (RUN, "impurity", False, [])
    assert len(found["disputes"]) == 2
    told = lbkd("explain", RUN, "--limit", 1, *here)
    lines = told.out.splitlines()
    assert (
        lines[0]
        == f"{RUN}: {found['windows']:,} windows, weighting impurity, computed from the stored logits"
    )
    weights = {(row["language"], row["teacher"]): f"{100 * row['weight']:.1f}" for row in found["trust"]}
    at = lines.index("Mean weight in percent")
    assert [line.split() for line in lines[at + 1 : at + 5]] == [
        ["passages", "en", "es"],
        *([name, weights[name, "en"], weights[name, "es"]] for name in ("en", "es", "all")),
    ]
    [window] = [line for line in lines if line.startswith("1. ")]
    assert window.startswith(f"1. {found['disputes'][0]['id']} (passage ")
    assert found["disputes"][0]["question"] in lines
    assert not any(line.startswith("2. ") for line in lines)

    beside = lbkd("explain", RUN, "--limit", 0, "--weighting", "fixed,learned", *here).out.splitlines()
    at = beside.index("What all teachers say together, summed by a weighting: right in percent")
    assert beside[at + 1].split() == ["weighting", "start", "end", "answer", "nll"]
    assert [line.split()[0] for line in beside[at + 2 : at + 5]] == ["impurity", "fixed", "learned"]

    assert "baseline is no finished run with teachers" in refused("explain", "baseline", *here)
    assert "no run in" in refused("explain", "nobody", *here)

    logits = workspace / "logits"
    logits.rename(tmp_path / "logits")
    message = refused("explain", RUN, *here)
    assert f"{RUN} kept no weights, and they cannot be computed:" in message
    assert "no teacher logits here" in message
    assert "--set training.keep_weights=true keeps weights, and trains nothing anew." in message
    assert not logits.exists()
    (tmp_path / "logits").rename(logits)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(0.55, 0.6, "against its sign, and for"), (0.4, 0.45, "for its sign, and"), (0.4, 0.6, "do not tell")],
)
def test_what_is_said_of_the_sign(low: float, high: float, told: str) -> None:
    from lbkd_cli.laboratory.explain import _sign

    rows = [
        {"by": "surety", "part": part, "low": low, "high": high, "questions": 10} for part in ("start", "end")
    ]
    other = {"by": "weight", "part": "start", "low": 0.0, "high": 1.0, "questions": 10}
    assert told in _sign([*rows, other])
    assert "do not tell" in _sign([rows[0], {**rows[1], "low": 0.4, "high": 0.6}])
    assert "do not tell" in _sign([other])
    assert "do not tell" in _sign([{**row, "questions": 9} for row in rows])
