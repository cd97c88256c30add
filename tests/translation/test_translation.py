from collections.abc import Sequence

import pytest

from lbkd.translation import Translator, nearest_code

ISO3 = [
    "eng",
    "spa",
    "arb",
    "zho_Hant",
    "zho_Hans",
    "nno",
    "nob",
    "pes",
    "swh",
    "zsm",
    "deu_Latn",
    "srp_Cyrl",
    "kor_Hang",
]


class Shout(Translator):
    """Everything in capitals, a number of times."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.done = 0

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        self.done += len(texts)
        return [text.upper() * self.times for text in texts]


def test_options_are_the_fingerprint_unless_it_says_more() -> None:
    translator = Shout(2)
    assert translator.fingerprint("en", "es") == {"times": 2}
    assert translator.fingerprint("en", "es") != Shout(3).fingerprint("en", "es")
    translator.check("en", "es")
    assert translator.translate(["a", "b"], "en", "es") == ["AA", "BB"]
    assert translator.fingerprint("en", "es") == {"times": 2}


@pytest.mark.parametrize(
    ("language", "code"),
    {
        "en": "eng",
        "es": "spa",
        "ar": "arb",
        "zh": "zho_Hans",
        "no": "nob",
        "nb": "nob",
        "nn": "nno",
        "fa": "pes",
        "sw": "swh",
        "ms": "zsm",
        "de": "deu_Latn",
        "sr": "srp_Cyrl",
        "zho_Hant": "zho_Hant",
        "zh-Hant": "zho_Hant",
        "zh-TW": "zho_Hant",
        "zh-HK": "zho_Hant",
        "zh-CN": "zho_Hans",
        "sr-Cyrl": "srp_Cyrl",
        "ko": "kor_Hang",
    }.items(),
)
def test_nearest_code(language: str, code: str) -> None:
    assert nearest_code(language, ISO3) == code


@pytest.mark.parametrize("language", ["fr", "nl", "lb", "da", "hr", "xx", "", "not a code", "Spanish"])
def test_no_code_is_near(language: str) -> None:
    assert nearest_code(language, ISO3) is None
    assert nearest_code(language, []) is None


@pytest.mark.parametrize(
    ("language", "codes"),
    [
        ("sr-Latn", ["srp_Cyrl"]),
        ("sr-Latn", ["sr"]),
        ("zh-Hant", ["zh"]),
        ("zh-TW", ["zh_CN"]),
        ("zh", ["zho_Hant"]),
    ],
)
def test_another_script_is_no_match(language: str, codes: list[str]) -> None:
    assert nearest_code(language, codes) is None
    assert nearest_code(codes[0], codes) == codes[0]


def test_a_secret_is_not_in_the_fingerprint() -> None:
    class Paid(Shout):
        """Needs a key."""

        def __init__(self, url: str, api_key: str) -> None:
            self.url, self.api_key = url, api_key

    assert Paid("u", "k").fingerprint("en", "es") == {"url": "u"}


def test_codes_that_are_no_tags_are_passed_over() -> None:
    assert nearest_code("es", ["", "?", "a tag", "es_XX"]) == "es_XX"
    assert nearest_code("?", ["?"]) == "?"


def test_plain_codes_go_before_those_of_a_country() -> None:
    assert nearest_code("en", ["eng_US", "eng"]) == "eng"
    assert nearest_code("en", ["eng_GB", "eng_US"]) in {"eng_GB", "eng_US"}
