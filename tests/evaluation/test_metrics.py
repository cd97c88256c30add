import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.metrics import (
    Answered,
    score_answer,
    score_each,
    score_predictions,
)
from lbkd.evaluation.normalize import tokenizer

# Names of the scores in the reference files -> ours.
OFFICIAL = {"mlqa": "mlqa", "squad_v1.1": "squad-v1"}


@pytest.fixture(params=["ar", "de", "en", "es", "hi", "vi"])
def official(request: pytest.FixtureRequest, shared_data: Path) -> dict[str, Any]:
    """400 answers in one language with the scores the official scripts give them; `null` is no prediction."""
    text = (shared_data / "metrics" / f"{request.param}.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    assert len(content["items"]) == 400
    return content


@pytest.mark.parametrize("name", OFFICIAL)
def test_every_answer_scores_as_the_official_script(official: dict[str, Any], name: str) -> None:
    answered = [item for item in official["items"] if item["prediction"] is not None]
    ours = [
        score_answer(item["prediction"], item["answers"], OFFICIAL[name], official["language"])
        for item in answered
    ]
    assert [[score.exact_match, score.f1] for score in ours] == [item[name] for item in answered]


@pytest.mark.parametrize("name", OFFICIAL)
def test_totals_are_those_of_the_official_script(official: dict[str, Any], name: str) -> None:
    items = official["items"]
    golds = {item["id"]: item["answers"] for item in items}
    predictions = {item["id"]: item["prediction"] for item in items if item["prediction"] is not None}
    score = score_predictions(golds, predictions, OFFICIAL[name], official["language"])
    assert {"exact_match": score.exact_match, "f1": score.f1} == official["scores"][name]
    assert (score.questions, score.missing) == (400, 400 - len(predictions))
    assert score.extras == {}


@pytest.mark.parametrize(
    ("metric", "language", "text", "tokens"),
    [
        # Punctuation is deleted, never replaced by a space.
        ("squad-v1", "en", "The U.S.-led, 1990-91 war", ["usled", "199091", "war"]),
        ("mlqa", "en", "well-known «New York»— 20–18", ["wellknown", "new", "york", "2018"]),
        # SQuAD deletes ASCII punctuation alone, MLQA all of Unicode's; symbols go if they are ASCII.
        ("squad-v1", "es", "«uno»— ¿dos? $3+€4", ["«uno»—", "¿dos", "3€4"]),
        ("mlqa", "es", "«uno»— ¿dos? $3+€4", ["uno", "dos", "3€4"]),
        ("mlqa", "hi", "नमस्ते। 𐄁दो", ["नमस्ते", "दो"]),  # U+0964 and U+10101
        # Articles are dropped after the punctuation and only as whole words.
        ("squad-v1", "en", "A (the) an another theory", ["another", "theory"]),
        ("mlqa", "en", "l'a t.h.e", ["la"]),
        ("mlqa", "en", "a_b the_", ["ab"]),
        # A decomposed "á" is no article, nor is the last letter of a decomposed "nghĩa".
        ("mlqa", "en", "a\u0301 x", ["a\u0301", "x"]),
        ("squad-v1", "vi", "nghi\u0303a", ["nghi\u0303a"]),
        # SQuAD knows English articles whatever the language.
        ("squad-v1", "de", "Die A der", ["die", "der"]),
        ("mlqa", "de", "Die Frau DES Müllers, einem", ["frau", "müllers"]),
        ("mlqa", "de", "keine eins", ["keine", "eins"]),
        ("mlqa", "de", "a the", ["a", "the"]),
        ("mlqa", "es", "El niño y unas de las niñas, lo, al", ["niño", "y", "de", "niñas", "lo", "al"]),
        ("mlqa", "vi", "Những cái nhà của tôi là chiếc thuyền", ["nhà", "tôi", "thuyền"]),
        ("mlqa", "vi", "cu\u0309a co\u0301", ["co\u0301"]),  # "của" is known in both forms
        ("mlqa", "hi", "a the एक", ["a", "the", "एक"]),
        # Arabic: each ال anywhere becomes a space, inside words too.
        ("mlqa", "ar", "الرجال في العالم", ["رج", "في", "ع", "م"]),
        ("squad-v1", "ar", "الرجال", ["الرجال"]),
        # Chinese: each character of U+4E00–U+9FA5 is a token; others are split at white space alone.
        ("mlqa", "zh", "在2008年，北京 olympic games", ["在", "2008", "年", "北", "京", "olympic", "games"]),
        ("mlqa", "zh", "\u4e00\u9fa5\u9fa6\u3400日のa", ["\u4e00", "\u9fa5", "\u9fa6\u3400", "日", "のa"]),
        ("squad-v1", "zh", "北京", ["北京"]),
        # White space of every kind separates; a zero-width space is none.
        ("mlqa", "en", " x\u3000y\x1cz\u200bw\n", ["x", "y", "z\u200bw"]),
    ],
)
def test_normalization(metric: str, language: str, text: str, tokens: list[str]) -> None:
    assert list(tokenizer(metric, language)(text)) == tokens


def test_mlqa_deletes_ascii_punctuation_and_every_unicode_category_p() -> None:
    split = tokenizer("mlqa", "hi")
    deleted = {chr(code) for code in range(sys.maxunicode + 1) if split(f"x{chr(code)}x") == ("xx",)}
    ascii_symbols = set("$+<=>^`|~")
    characters = map(chr, range(sys.maxunicode + 1))
    assert deleted == ascii_symbols | {c for c in characters if unicodedata.category(c).startswith("P")}


@pytest.mark.parametrize(
    ("prediction", "golds", "metric", "language", "exact_match", "f1"),
    [
        ("The cat", ["a Cat!"], "squad-v1", "en", 1.0, 1.0),
        # 2 of 3 predicted and 2 of 2 reference tokens: 2 · ⅔ · 1 / (⅔ + 1) = 0.8
        ("big black cat", ["black cat"], "squad-v1", "en", 0.0, 0.8),
        # Tokens are counted with multiplicity: "x x" against "x x x y" shares 2: 2 · 1 · ½ / 1½ = ⅔
        ("x x", ["x x x y"], "squad-v1", "en", 0.0, 2 / 3),
        # Order does not count for F1.
        ("York New", ["New York"], "mlqa", "en", 0.0, 1.0),
        # The best over the references, for each of the two.
        ("red", ["blue", "red green", "Red."], "mlqa", "en", 1.0, 1.0),
        ("red", ["blue", "red green"], "mlqa", "en", 0.0, 2 / 3),
        # Two empties.
        ("", [""], "mlqa", "en", 1.0, 0.0),
        ("the", ["..."], "mlqa", "en", 1.0, 0.0),
        ("", ["...", "word"], "squad-v1", "en", 1.0, 0.0),
        ("", [""], "squad-v2", "en", 1.0, 1.0),
        ("", ["word"], "squad-v2", "en", 0.0, 0.0),
        # SQuAD v2: no golds means "unanswerable"; golds that normalize to nothing are dropped first.
        ("", [], "squad-v2", "en", 1.0, 1.0),
        ("the ...", [], "squad-v2", "en", 1.0, 1.0),
        ("word", [], "squad-v2", "en", 0.0, 0.0),
        ("", ["...", "word"], "squad-v2", "en", 0.0, 0.0),
        ("", ["...", "the"], "squad-v2", "en", 1.0, 1.0),
        # Characters of Chinese: 2 of 4 and 2 of 2: 2 · ½ · 1 / 1½ = ⅔
        ("北京城市", ["北京"], "mlqa", "zh", 0.0, 2 / 3),
        ("北京城市", ["北京"], "squad-v1", "zh", 0.0, 0.0),
        # The language is the passage's: "die" is an article in German alone.
        ("die Stadt", ["Stadt"], "mlqa", "de", 1.0, 1.0),
        ("die Stadt", ["Stadt"], "mlqa", "en", 0.0, 2 / 3),
    ],
)
def test_answers_worked_by_hand(
    prediction: str, golds: list[str], metric: str, language: str, exact_match: float, f1: float
) -> None:
    score = score_answer(prediction, golds, metric, language)
    assert score.exact_match == exact_match
    assert score.f1 == pytest.approx(f1, abs=1e-15)


GOLDS = {"q1": ["Paris"], "q2": ["New York"], "q3": [], "q4": []}


@pytest.mark.parametrize("metric", ["mlqa", "squad-v1"])
def test_a_missing_prediction_counts_and_scores_nothing(metric: str) -> None:
    golds = {"q1": ["Paris"], "q2": ["New York"], "q3": ["Rome"]}
    predictions = {"q1": "paris", "q2": "York", "of no question": "x"}
    score = score_predictions(golds, predictions, metric)
    assert score.exact_match == pytest.approx(100 / 3)
    assert score.f1 == pytest.approx(100 * (1 + 2 / 3) / 3)
    assert (score.questions, score.missing) == (3, 1)
    assert score_each(golds, predictions, metric)["q3"] == Answered(0.0, 0.0)


def test_squad_v2_leaves_a_missing_prediction_out() -> None:
    score = score_predictions(GOLDS, {"q1": "Paris", "q2": "York", "q3": "", "other": "x"}, "squad-v2")
    assert score.exact_match == pytest.approx(100 * 2 / 3)
    assert score.f1 == pytest.approx(100 * (1 + 2 / 3 + 1) / 3)
    assert (score.questions, score.missing) == (4, 1)
    assert score.extras == {
        "has_answer_exact_match": 50.0,
        "has_answer_f1": pytest.approx(100 * (1 + 2 / 3) / 2),
        "has_answer_questions": 2,
        "no_answer_exact_match": 100.0,
        "no_answer_f1": 100.0,
        "no_answer_questions": 1,
    }


def test_squad_v2_applies_the_no_answer_threshold() -> None:
    predictions = {"q1": "Paris", "q2": "York", "q3": "x", "q4": ""}
    silence = {"q1": 0.9, "q2": 0.5, "q3": 0.6, "q4": 0.0, "other": 0.0}
    # Above ½ (½ itself is not): q1 is taken as unanswered, which is wrong, and q3, which is right.
    score = score_predictions(
        GOLDS, predictions, "squad-v2", no_answer_scores=silence, no_answer_threshold=0.5
    )
    assert score.exact_match == 50.0
    assert score.f1 == pytest.approx(100 * (0 + 2 / 3 + 1 + 1) / 4)
    assert score.extras["has_answer_exact_match"] == 0.0
    assert score.extras["no_answer_exact_match"] == 100.0
    # Surest first. EM: start 2; q4 +0, q2 +0, q3 -1, q1 +1: never above 2. F1: after q2 it is 2⅔.
    assert score.extras["best_exact"] == 50.0
    assert score.extras["best_exact_threshold"] == 0.0
    assert score.extras["best_f1"] == pytest.approx(100 * (2 + 2 / 3) / 4)
    assert score.extras["best_f1_threshold"] == 0.5


def test_squad_v2_best_threshold_takes_the_text_of_a_prediction_as_it_is() -> None:
    # "..." normalizes to nothing and is right for q2, yet it costs a point in the search.
    golds = {"q1": ["Paris"], "q2": []}
    silence = {"q2": 0.1, "q1": 0.2}
    for prediction, best in ("", 100.0), ("...", 50.0):
        predictions = {"q1": "Paris", "q2": prediction}
        score = score_predictions(golds, predictions, "squad-v2", no_answer_scores=silence)
        assert score.exact_match == 100.0
        assert score.extras["best_exact"] == best


def test_squad_v2_names_only_the_parts_there_are() -> None:
    score = score_predictions({"q": ["x"]}, {"q": "x"}, "squad-v2")
    assert sorted(score.extras) == ["has_answer_exact_match", "has_answer_f1", "has_answer_questions"]
    # An answerable question whose answers normalize to nothing still counts as answerable.
    score = score_predictions({"q": ["..."]}, {"q": ""}, "squad-v2")
    assert score.extras["has_answer_exact_match"] == 100.0


@pytest.mark.parametrize(
    ("metric", "language", "message"),
    [
        ("squadv1", "en", "no metric 'squadv1'; did you mean 'squad-v1'"),
        ("mlqa", "fr", "no rules for the language 'fr'.*Choices: ar, de, en, es, hi, vi, zh.*squad-v1"),
        ("mlqa", "zh-CN", "did you mean 'zh'"),
    ],
)
def test_unknown_names_are_told_with_the_nearest(metric: str, language: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        score_answer("x", ["x"], metric, language)
    with pytest.raises(ConfigError, match=message):
        score_predictions({}, {}, metric, language)


def test_squad_takes_any_language() -> None:
    assert score_answer("x", ["x"], "squad-v1", "tlh") == Answered(1.0, 1.0)


def test_bad_input_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError, match="'mlqa' takes no no-answer scores"):
        score_predictions({"q": ["x"]}, {"q": "x"}, "mlqa", no_answer_scores={"q": 0.0})
    with pytest.raises(DataError, match="no questions"):
        score_predictions({}, {}, "mlqa")
    with pytest.raises(DataError, match="question 'q2': no reference answer"):
        score_predictions({"q1": ["x"], "q2": []}, {"q1": "x", "q2": "x"}, "squad-v1")
    with pytest.raises(DataError, match="none of the 1 questions has a prediction.*'q' and 'p'"):
        score_predictions({"q": ["x"]}, {"p": "x"}, "squad-v2")
    with pytest.raises(DataError, match="question 'q' has a prediction but no no-answer score"):
        score_predictions({"q": ["x"]}, {"q": "x"}, "squad-v2", no_answer_scores={})
