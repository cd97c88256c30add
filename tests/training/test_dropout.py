"""With dropout, a run depends on the number of ranks and of micro-batches; without, it does not."""

from pathlib import Path
from typing import Any

import pytest
from ranks import Ranks, furthest, settings, trained

from lbkd.config import Settings
from lbkd.project import Project
from lbkd.training.run import Components, Run

STEPS = {"training.max_steps": 4, "training.adam_eps": 1e-5}


def provenance(how: Settings) -> dict[str, Any]:
    return Run.of(Project(how), Components("mix-mrc")).settings_provenance()


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"model.dropout": 0.0}, None),
        ({"model.dropout": 0.0, "training.micro_batch_size": 2}, None),
        ({"model.dropout": 0.1}, [1, 1]),
        ({"model.dropout": None}, [1, 1]),  # as in the model's config, which nobody reads for this
        ({"model.dropout": 0.1, "training.micro_batch_size": 8}, [1, 1]),
        ({"model.dropout": 0.1, "training.micro_batch_size": 3}, [1, 3]),  # a batch has 8 windows
    ],
)
def test_what_one_rank_writes_down(
    over: dict[str, Any], expected: list[int] | None, tiny_model_folder: Path, workspace: Path
) -> None:
    found = provenance(settings(tiny_model_folder, workspace, **over))
    assert found["ranks and micro-batches"] == expected


def test_what_two_ranks_write_down(two_ranks: Ranks, tiny_model_folder: Path, workspace: Path) -> None:
    for dropout, expected in ((0.0, None), (0.1, [2, 2])):
        over = {"model.dropout": dropout, "training.micro_batch_size": 2}
        found = two_ranks(provenance, settings(tiny_model_folder, workspace, **over))
        assert [each["ranks and micro-batches"] for each in found] == [expected, expected]


def test_two_ranks_drop_other_units_than_one(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    """The reason: after four steps weights are apart by thousands of roundings; without dropout by none."""
    apart = []
    for name, dropout in (("none", 0.0), ("some", 0.3)):
        how = settings(tiny_model_folder, workspace, **STEPS, **{"model.dropout": dropout})
        alone = trained(how, tmp_path / name / "alone")
        first, _ = two_ranks(trained, how, tmp_path / name / "together")
        apart.append(furthest(alone.weights, first.weights))
    assert apart[0] < 5e-5
    assert apart[1] > 5e-4
