"""With dropout, weights depend on the number of ranks; without, they do not."""

from pathlib import Path

from ranks import Ranks, furthest, settings, trained

STEPS = {"training.max_steps": 4, "training.adam_eps": 1e-5}


def test_two_ranks_drop_other_units_than_one(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    """After four steps weights are apart by thousands of roundings; without dropout by none."""
    apart = []
    for name, dropout in (("none", 0.0), ("some", 0.3)):
        how = settings(tiny_model_folder, workspace, **STEPS, **{"model.dropout": dropout})
        alone = trained(how, tmp_path / name / "alone")
        first, _ = two_ranks(trained, how, tmp_path / name / "together")
        apart.append(furthest(alone.weights, first.weights))
    assert apart[0] < 5e-5
    assert apart[1] > 5e-4
