from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ranks import settings

from lbkd.config import Settings
from lbkd.features.dataset import FeatureSet
from lbkd.project import Project
from lbkd.training.schedule import Schedule


@pytest.fixture(scope="module")
def features(tiny_model_folder: Path, workspace: Path) -> FeatureSet:
    return Project(settings(tiny_model_folder, workspace)).train_features


def plan(features: FeatureSet, how: Settings, **training: Any) -> Schedule:
    pairs = [(k, j) for k in features.languages for j in features.languages]
    changed = {"epochs": 2, "max_steps": None, "batch_size": 5, **training}
    return Schedule(
        features, pairs, how.model_copy(update={"training": how.training.model_copy(update=changed)})
    )


@pytest.fixture
def how(tiny_model_folder: Path, workspace: Path) -> Settings:
    return settings(tiny_model_folder, workspace)


def test_every_epoch_has_every_window_once(features: FeatureSet, how: Settings) -> None:
    two = plan(features, how)
    steps = list(two)
    half = two.steps // 2
    assert len(steps) == two.steps
    for epoch in (steps[:half], steps[half:]):
        assert sorted(np.concatenate([ids for _, ids in epoch])) == list(two.windows)
    assert steps[half - 1][0] == 1.0
    assert steps[-1][0] == 2.0


def test_a_shorter_run_is_the_beginning_of_a_longer_one(features: FeatureSet, how: Settings) -> None:
    """And sees no window but those of its batches: only these need the teachers' logits."""
    short, long = plan(features, how, max_steps=3), plan(features, how)
    for (_, mine), (_, theirs) in zip(short, long, strict=False):
        assert np.array_equal(mine, theirs)
    assert short.steps == 3
    assert sorted(np.concatenate([ids for _, ids in short])) == list(short.windows)
    assert len(short.windows) == 15 < len(long.windows)


def test_max_steps_may_go_beyond_the_epochs(features: FeatureSet, how: Settings) -> None:
    steps = plan(features, how).steps
    assert len(list(plan(features, how, max_steps=2 * steps))) == 2 * steps


def test_sampled_question_languages_change_with_the_epoch(features: FeatureSet, how: Settings) -> None:
    one = plan(features, how, question_languages_per_example=1, batch_size=1)
    half = one.steps // 2
    first, second = ({int(ids[0]) for _, ids in part} for part in (list(one)[:half], list(one)[half:]))
    assert len(first) == len(second) == len(plan(features, how).windows) // len(features.languages)
    assert first != second
    assert first | second == set(one.windows)


def test_nothing_to_learn_from(features: FeatureSet, how: Settings) -> None:
    nothing = Schedule(features, [], how)
    assert (nothing.steps, list(nothing), len(nothing.windows)) == (0, [], 0)


@pytest.mark.parametrize("number", [None, 2])
def test_a_run_goes_on_at_any_step(features: FeatureSet, how: Settings, number: int | None) -> None:
    whole = plan(features, how, question_languages_per_example=number)
    steps = [(epochs, ids.tolist()) for epochs, ids in whole]
    half = whole.steps // 2
    for done in (0, 1, half - 1, half, half + 1, whole.steps - 1, whole.steps):
        later = plan(features, how, question_languages_per_example=number).after(done)
        assert [(epochs, ids.tolist()) for epochs, ids in later] == steps[done:]
