"""`--set`, and that any content of files and command line gives settings or a ConfigError."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from lbkd.config import Settings
from lbkd.errors import ConfigError
from lbkd.settings import FILE_NAME, load_settings, nested, parse_set


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.epochs=3", ("training.epochs", 3)),
        ("training.max_grad_norm=1e-3", ("training.max_grad_norm", 0.001)),
        ("model.trust_remote_code=true", ("model.trust_remote_code", True)),
        ("model.name=xlm-roberta-base", ("model.name", "xlm-roberta-base")),
        ("model.name='3'", ("model.name", "3")),
        ("model.name=", ("model.name", "")),
        ("model.name=a=b", ("model.name", "a=b")),
        (" model.name = a b ", ("model.name", "a b")),
        ("corpus.languages=en,es", ("corpus.languages", "en,es")),
        ("corpus.languages=['en', 'es']", ("corpus.languages", ["en", "es"])),
        ("weighting.fixed.weights={en=2, es=1}", ("weighting.fixed.weights", {"en": 2, "es": 1})),
        ("corpus.dir=C:\\data", ("corpus.dir", "C:\\data")),
        ("corpus.dir=#1", ("corpus.dir", "#1")),
        ("seed=" + "9" * 5000, ("seed", "9" * 5000)),
        ("seed=" + "[" * 5000, ("seed", "[" * 5000)),
    ],
)
def test_parse_set(text: str, expected: tuple[str, Any]) -> None:
    assert parse_set(text) == expected


@pytest.mark.parametrize("text", ["", "training.epochs", "=3", "  =3", "training.epochs 3"])
def test_parse_set_wants_a_key_and_a_value(text: str) -> None:
    with pytest.raises(ConfigError, match="expected KEY=VALUE, for example --set training.epochs=3"):
        parse_set(text)


@given(st.text(st.characters()))
@example("a=1\n[v]")
def test_parse_set_of_any_text(text: str) -> None:
    try:
        key, _ = parse_set(text)
    except ConfigError as error:
        assert "expected KEY=VALUE" in str(error)
    else:
        assert key
        assert key == text.partition("=")[0].strip()


def test_nested() -> None:
    assert nested({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    with pytest.raises(ConfigError, match="'a.b' goes below 'a', which already has the value 1"):
        nested({"a": 1, "a.b": 2})


def keys(model: Any = Settings, above: str = "") -> Iterator[str]:
    """Every key of the schema, sections included."""
    for name, field in model.model_fields.items():
        yield above + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{above}{name}.")


KEYS = sorted(keys())
texts = st.text(st.characters(), max_size=12)  # surrogates included
words = st.sampled_from(["en", "es, de", "fp32", "mlqa", "3", "-1", "1e999", "true", "\0", "/", "x" * 300])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | words | st.binary(max_size=3)
huge = st.sampled_from([10**400, -(10**400), 2**63, 2**64])
values = st.recursive(
    scalars | huge,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
names = st.sampled_from(KEYS) | st.tuples(st.sampled_from(KEYS), texts).map(".".join) | texts


def rendered(value: Any) -> str:
    """A value as TOML writes it, or nearly."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {rendered(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(rendered, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    return json.dumps(value) if isinstance(value, str | bool) else str(value).lower()


written = st.dictionaries(names, values, max_size=4).map(
    lambda tables: "\n".join(f"{key} = {rendered(value)}" for key, value in tables.items())
)
lines = st.lists(
    st.sampled_from(
        [
            "[corpus]",
            "[[corpus]]",
            "[training]",
            "epochs = 3",
            "dir = 'x'",
            "languages = 'en'",
            "a = 1979-05-27",
        ]
    ),
    max_size=5,
).map("\n".join)
contents = (st.text() | written | lines).map(lambda text: text.encode("utf-8", "ignore")) | st.binary()


@settings(max_examples=300, deadline=None)
@given(content=contents, overrides=st.dictionaries(names, values, max_size=3))
@example(content=b"seed = 0x" + b"f" * 4000, overrides={})
@example(content=b"[corpus]\ndir = {x = 0x" + b"f" * 4000 + b"}", overrides={})
@example(content=b"", overrides={"corpus.dir" + ".x" * 1100: 1})
@example(content=b"", overrides={"corpus.dir": "x" * 5000})
@example(content=b"", overrides={"criterion.\r\r": 1})
@example(content=b"", overrides={"corpus": {1: 2}, "corpus.dir": "\udcff"})
def test_any_settings(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, overrides: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "settings"
    folder.mkdir(exist_ok=True)
    (folder / FILE_NAME).write_bytes(content)
    try:
        found = load_settings(overrides, folder)
    except ConfigError as error:
        assert str(error)
        assert len(str(error).splitlines()) <= 6
        assert len(str(error)) < 6000
    else:
        assert isinstance(found, Settings)
        assert found.corpus.source in found.corpus.languages
