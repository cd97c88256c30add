from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.graphemes import starts
from lbkd.recovery.offsets import CHARACTERS, UNITS, character, unit_of

TEXT = "L’été 🌞, José lut 1822."  # characters before 1822: 18; ’ has 3 bytes, é 2, 🌞 4 and 2 UTF-16 units


def counted(unit: str, text: str, answer: str) -> int:
    return UNITS[unit](text[: text.index(answer)])


@pytest.mark.parametrize(
    ("unit", "offset"),
    [("characters", 18), ("UTF-8 bytes", 26), ("UTF-16 units", 19)],
)
def test_units_by_hand(unit: str, offset: int) -> None:
    assert character(TEXT, offset, unit) == TEXT.index("1822") == 18
    assert unit_of([(TEXT, "1822", offset)]) == unit
    assert unit_of([(TEXT, "ÉTÉ", counted(unit, TEXT, "été")), (TEXT, "1822", offset)]) == unit


def test_offsets_of_another_composition() -> None:
    composed, decomposed = normalize("NFC", TEXT), normalize("NFD", TEXT)  # three accents before 1822
    assert character(decomposed, 18, "characters of the composed text (NFC)") == 21
    assert unit_of([(decomposed, "1822", 18)]) == "characters of the composed text (NFC)"
    assert character(composed, 21, "characters of the decomposed text (NFD)") == 18
    assert unit_of([(composed, "1822", 21)]) == "characters of the decomposed text (NFD)"


def test_a_unit_must_explain_half_of_the_answers() -> None:
    right, wrong = (TEXT, "1822", 26), (TEXT, "1822", 22)
    assert unit_of([right, wrong]) == "UTF-8 bytes"
    assert unit_of([right, wrong, wrong]) == CHARACTERS
    assert unit_of([right, (TEXT, "1822", 18)]) == CHARACTERS
    assert unit_of([]) == CHARACTERS


@pytest.mark.parametrize("unit", UNITS)
def test_offsets_beyond_the_text(unit: str) -> None:
    assert character(TEXT, -1, unit) == -1
    assert character(TEXT, 1000, unit) >= len(TEXT)


@given(st.text("aé\u0301🌞京 ", max_size=30), st.sampled_from([*UNITS]), st.data())
def test_units_restore_every_cluster(text: str, unit: str, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from([*starts(text), len(text)]))
    assert character(text, UNITS[unit](text[:place]), unit) == place
