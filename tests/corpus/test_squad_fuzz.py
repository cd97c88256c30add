"""Whatever a file holds, `inspect_file` answers with faults, and `read` raises nothing but DataError."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_places import places

from lbkd.corpus.squad import TOLERATED, inspect_file, read
from lbkd.errors import DataError

PASSAGE = "The cat sat. The dog ran."
QUESTIONS = [
    {"id": "q1", "question": "Who sat?", "answers": [{"text": "cat", "answer_start": 4}]},
    {"id": "q2", "question": "Who slept?", "answers": [], "is_impossible": True},
]
DOCUMENT = {
    "version": "2",
    "data": [{"title": "Pets", "paragraphs": [{"context": PASSAGE, "qas": QUESTIONS}]}],
}
VALID = json.dumps(DOCUMENT, indent=1).encode()

texts = st.text(st.characters(), max_size=20)  # surrogates included
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just(10**4000)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
likely = st.sampled_from(
    [
        "",
        "cat",
        "q2",
        "x\ud800",
        -1,
        0,
        10**30,
        True,
        False,
        [],
        {},
        "The cat\u0301 sat.",
        "CAT",
        "c&amp;t",
        "ca\u200bt",
    ]
)


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """A document in which some values are others, or gone."""
    document = json.loads(VALID)
    for _ in range(draw(st.integers(1, 3))):
        if not (known := list(places(document))):
            break
        *path, last = draw(st.sampled_from(known))
        parent = document
        for key in path:
            parent = parent[key]
        action = draw(st.integers(0, 5))
        if action == 0:
            del parent[last]
        else:
            parent[last] = draw(values if action == 1 else likely)
    return json.dumps(document).encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A document with some bytes replaced by others, perhaps cut short."""
    content = bytearray(VALID)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content) - 1))
        piece = draw(
            st.binary(max_size=4) | st.sampled_from([b"\\ud800", b"NaN", b"1e999", b"\xed\xa0\x80", b"{"])
        )
        content[start : start + draw(st.integers(0, 4))] = piece
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)


@st.composite
def disguised(draw: st.DrawFn) -> bytes:
    """A document, or its rows, in another format, perhaps cut short."""
    row = {
        "id": "q1",
        "context": PASSAGE,
        "question": "Who?",
        "answers": {"text": ["cat"], "answer_start": [4]},
    }
    content = draw(
        st.sampled_from(
            [
                gzip.compress(VALID),
                b"PAR1" + VALID,
                *(VALID.decode().encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-32")),
                *(
                    json.dumps(rows).encode()
                    for rows in ([row], {"data": [row]}, {"rows": [{"row": row}]}, [[row]])
                ),
                b"\n".join([json.dumps(row).encode()] * 2),
                b"id,context\nq1,The cat",
                VALID.replace(b'"title"', b'"paragraphs"'),
            ]
        )
    )
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


@st.composite
def nested(draw: st.DrawFn) -> bytes:
    """A document with lists or objects inside one another, perhaps never closed, in place of a value."""
    opening, closing = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]))
    depth = draw(st.sampled_from([10, 90, 120, 400, 900, 990, 1100, 100_000]))
    bomb = opening * depth + b"1" + closing * draw(st.sampled_from([depth, 0]))
    return VALID.replace(draw(st.sampled_from([b'"2"', b'"Pets"', b'"q1"', b"4", b"true", VALID])), bomb)


@settings(max_examples=600, deadline=None)
@given(replaced())
def test_other_values(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    answered_with_faults(tmp_path_factory.getbasetemp() / "fuzz.json", content)


@settings(max_examples=400, deadline=None)
@given(st.binary() | damaged() | nested() | disguised())
def test_other_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    answered_with_faults(tmp_path_factory.getbasetemp() / "fuzz.json", content)


def answered_with_faults(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    dataset, faults = inspect_file(path, "en")
    assert (dataset is None) == bool(faults)
    for fault in faults:
        assert fault.message
        assert fault.remedy
        assert sum(map(len, fault)) < 800
        "".join(fault).encode()  # can be printed
    try:
        found = read(path, "en")
        assert {fault.kind for fault in faults} <= TOLERATED
        assert faults or found == dataset
    except DataError as error:
        assert {fault.kind for fault in faults} - TOLERATED
        assert len(str(error).splitlines()) <= 11
