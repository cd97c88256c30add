import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.errors import ConfigError
from lbkd.recovery.markers import STYLES, Marked, check_style, mark, read, style_for
from lbkd.recovery.words import Span


@pytest.mark.parametrize("style", STYLES)
@given(before=st.text("aé 語.\u0301", max_size=9), inner=st.text("bß 本.", min_size=1), after=st.text("c .ع"))
def test_what_is_marked_is_read_again(style: str, before: str, inner: str, after: str) -> None:
    if inner.strip():
        text = before + inner + after
        found = read(mark(text, Span(len(before), len(before + inner)), style), style)
        assert isinstance(found, Marked)
        assert found.text[slice(*found.span)] == inner.strip()
        assert found.text.split() == text.split()


@pytest.mark.parametrize(
    ("translation", "style", "text", "answer"),
    [
        ("En <b>Roma</b>.", "tags", "En Roma.", "Roma"),
        ("En <B> Roma </ B > hoy", "tags", "En Roma hoy", "Roma"),
        ("En &lt;b&gt;Roma&lt;/b&gt;", "tags", "En Roma", "Roma"),
        ("＜b＞ローマ＜/b＞で", "tags", "ローマで", "ローマ"),
        ("[ 1 ] Roma [2] hoy", "numbered", "Roma hoy", "Roma"),
        ("في [١]روما[٢].", "numbered", "في روما.", "روما"),
        ("In ⟦ Rom ⟧ .", "brackets", "In Rom .", "Rom"),
        ("In« Rom »heute", "guillemets", "In Rom heute", "Rom"),
        ("[Roma] es", "square", "Roma es", "Roma"),
    ],
)
def test_damage_that_is_put_up_with(translation: str, style: str, text: str, answer: str) -> None:
    found = read(translation, style)
    assert isinstance(found, Marked)
    assert (found.text, found.text[slice(*found.span)]) == (text, answer)


@pytest.mark.parametrize(
    ("translation", "style", "fault"),
    [
        ("En Roma.", "tags", "missing"),
        ("En <b>Roma.", "tags", "missing"),
        ("En Roma</b>.", "tags", "missing"),
        ("", "tags", "missing"),
        ("En <negrita>Roma</negrita>", "tags", "missing"),  # translated
        ("<b>En</b> <b>Roma</b>", "tags", "duplicated"),
        ("En ⟦⟦Roma⟧", "brackets", "duplicated"),
        ("En </b>Roma<b>", "tags", "swapped"),
        ("En ⟧Roma⟦.", "brackets", "swapped"),
        ("En <b></b> Roma", "tags", "empty"),
        ("En ⟦ ⟧Roma", "brackets", "empty"),
        ("En <b>Roma</b> < b", "tags", "left over"),
        ("[3] En [1]Roma[2]", "numbered", "left over"),
        ("<b>Ro<ma</b>", "tags", "left over"),
        ("<b>Roma</b> &gt;", "tags", "left over"),
    ],
)
def test_damage_that_is_not(translation: str, style: str, fault: str) -> None:
    assert read(translation, style) == fault


def test_a_text_with_such_signs_gets_another_style() -> None:
    assert style_for("plain", "square") == "square"
    assert style_for("a < b", "tags") == "guillemets"
    assert style_for("a « b < c", "tags") == "brackets"
    assert style_for("a [1] b", "numbered") == "guillemets"
    assert style_for("a ［1］ b", "square") == "guillemets"
    assert style_for("< ⟦ « [", "tags") is None


def test_unknown_style() -> None:
    with pytest.raises(ConfigError, match="no marker style 'tag'.*did you mean 'tags'.*brackets"):
        check_style("tag")
