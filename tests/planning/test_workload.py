import numpy as np
import pytest
from ranks import settings

from lbkd.features.dataset import FeatureSet
from lbkd.features.windows import WindowRule
from lbkd.planning.workload import Size, Texts, Workload
from lbkd.project import Project

RULE = WindowRule(max_length=20, max_question_tokens=6, step=5, specials=3)


def test_windows_by_hand() -> None:
    """A passage of 11 tokens fits beside the short question only: 3 + 4 + 11 = 18 tokens, 3 + 6 + 11 = 20."""
    size = Size(questions=10, passages=2, passage_tokens=11, question_tokens=4)
    one = Texts.assumed(size, ["en", "es"], RULE).epoch([("en", "en"), ("es", "en")])
    assert one == Workload(pairs=20, windows=20, tokens=360, squares=20 * 18**2, longest=18)
    longer = size.model_copy(update={"passage_tokens": 18, "question_tokens": 9})  # cut to 6: room for 11
    # 18 tokens of passage: 0-11, 5-16 and 10-18, in windows of 20, 20 and 17 tokens
    two = Texts.assumed(longer, ["en"], RULE).epoch([("en", "en")])
    assert two == Workload(pairs=10, windows=30, tokens=570, squares=10 * (400 + 400 + 289), longest=20)


def test_a_sample_by_hand() -> None:
    """Two of three question languages: two thirds of all windows, where all are there."""
    lengths = np.array([[4, 4], [5, 5], [6, -1]])
    passages = np.array([[9, 9], [9, 9], [9, -1]])
    texts = Texts(RULE, ["en", "es", "de"], passages, lengths)
    pairs = [("en", question) for question in ("en", "es", "de")]
    assert texts.epoch(pairs) == Workload(5, 5, 60 + 24, 16**2 + 17**2 + 18**2 + 16**2 + 17**2, 18)
    drawn = texts.epoch(pairs, 2)
    assert (drawn.pairs, drawn.windows) == (4, 4)
    assert drawn.tokens == pytest.approx(51 * 2 / 3 + 33)


def test_native_languages_have_pairs_of_their_own_alone() -> None:
    """Of English, Spanish and two native languages, 4 of the 16 pairs are translations, and 2 native."""
    size = Size(questions=10, passages=2, passage_tokens=9, question_tokens=4)
    languages = ["en", "sw", "es", "ko"]
    texts = Texts.assumed(size, languages, RULE, ["ko", "sw", "fi"])
    found = {pair: texts.epoch([pair]).pairs for pair in ((k, j) for k in languages for j in languages)}
    assert {pair for pair, count in found.items() if count} == {
        *(("en", "en"), ("en", "es"), ("es", "en"), ("es", "es")),
        *(("sw", "sw"), ("ko", "ko")),
    }
    assert set(found.values()) == {0, 10}


def test_a_hundred_languages_take_no_memory() -> None:
    size = Size(questions=100_000, passages=20_000, passage_tokens=150, question_tokens=14)
    languages = [str(n) for n in range(100)]
    texts = Texts.assumed(size, languages, WindowRule(384, 64, 128, 4))
    found = texts.epoch([(k, j) for k in languages for j in languages])
    assert (found.pairs, found.windows, found.tokens) == (10**9, 10**9, 168 * 10**9)


@pytest.mark.parametrize("window", [{}, {"model.max_length": 100, "model.window_step": 16}])
@pytest.mark.parametrize("limit", [3, None])
def test_sums_are_those_of_the_windows_themselves(
    window: dict[str, int], limit: int | None, tiny_model_folder, workspace
) -> None:
    features = Project(
        settings(tiny_model_folder, workspace, **window, **{"corpus.limit": limit})
    ).train_features
    for pairs in ([("en", "en")], [("es", "en"), ("es", "es"), ("en", "es")]):
        assert Texts.of(features).epoch(pairs) == counted(features, pairs)


def test_questions_that_a_language_lacks(tiny_model_folder, workspace) -> None:
    features = Project(settings(tiny_model_folder, workspace)).train_features
    rows = dict(features.corpus.rows)
    rows["es"] = np.where(np.arange(len(rows["es"])) % 3, rows["es"], -1)
    features.corpus.__dict__["rows"] = rows
    pairs = [(k, j) for k in ("en", "es") for j in ("en", "es")]
    assert Texts.of(features).epoch(pairs) == counted(features, pairs)


def counted(features: FeatureSet, pairs: list[tuple[str, str]]) -> Workload:
    ids = features.features(pairs)
    windows, lengths = features.windows(ids), features.lengths(ids)
    return Workload(
        int((windows.number == 0).sum()),
        len(ids),
        int(lengths.sum()),
        int((lengths**2).sum()),
        int(lengths.max()),
    )
