import pytest

from lbkd.scripts import letters_in, script_of


@pytest.mark.parametrize(
    ("language", "script"),
    [
        ("en", "Latn"),
        ("sr", "Cyrl"),
        ("sr-Latn", "Latn"),
        ("srp_Latn", "Latn"),
        ("zh", "Hans"),
        ("zh-TW", "Hant"),
        ("ja", "Jpan"),
        ("ko", "Kore"),
        ("mhr", "Cyrl"),
        ("xx", None),
        ("xx-Cyrl", "Cyrl"),
        ("not a language", None),
    ],
)
def test_script_of(language: str, script: str | None) -> None:
    assert script_of(language) == script


@pytest.mark.parametrize(
    ("text", "script", "expected"),
    [
        ("Реч 12, NATO", "Cyrl", (3 / 7, "Latin")),
        ("Reč", "Latn", (1.0, "")),
        ("汉字kana", "Hant", (2 / 6, "Latin")),
        ("漢字かなカナ", "Jpan", (1.0, "")),
        ("한글漢字", "Kore", (1.0, "")),
        ("ひらがな", "Hans", (0.0, "Hiragana")),
        ("1822 – ?", "Latn", (1.0, "")),
        ("हिन्दी", "Deva", (1.0, "")),
        ("Wort", "Zsye", (1.0, "")),
    ],
)
def test_letters_in(text: str, script: str, expected: tuple[float, str]) -> None:
    assert letters_in([text[:2], text[2:]], script) == pytest.approx(expected)
