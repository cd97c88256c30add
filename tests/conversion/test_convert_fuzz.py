"""Whatever a file holds, `convert` writes a file that the strict reader can repair, or raises DataError."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lbkd.conversion.convert import convert
from lbkd.corpus.squad import inspect_file
from lbkd.errors import DataError

MENDABLE = {"misplaced answer", "negative start", "cut character"}
texts = st.sampled_from(
    ["", " ", "cat", "é", "é cat 😀", "x\ud800", "{'text': [1]}", "[1", "1", "true", "3.0"]
)
scalars = st.none() | st.booleans() | st.sampled_from([-1, 0, 2, 10**30, 2.5, 3.0]) | texts
names = st.sampled_from(
    [
        *("data", "rows", "row", "paragraphs", "qas", "context", "context_text", "question", "id", "title"),
        *("answers", "answer", "answer_text", "text", "answer_start", "is_impossible", "detected_answers"),
        *("char_spans", "header", "language", "document_plaintext", "annotations", "example_id"),
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)
answers = st.lists(st.fixed_dictionaries({"text": texts, "answer_start": scalars}) | values, max_size=3)
questions = st.fixed_dictionaries(
    {"question": texts, "answers": answers | values}, optional={"id": scalars, "is_impossible": scalars}
)
passages = st.fixed_dictionaries({"context": texts, "qas": st.lists(questions, max_size=3)})
rows = st.fixed_dictionaries(
    {"context": texts, "question": texts}, optional={"id": scalars, "answers": values}
)
spans = st.fixed_dictionaries({"context": texts, "question": texts, "detected_answers": values})


@settings(max_examples=150, deadline=None)
@given(value=st.lists(passages | rows | spans, max_size=4) | values, as_lines=st.booleans())
def test_no_content_raises_anything_else(tmp_path_factory: Any, value: Any, as_lines: bool) -> None:
    path: Path = tmp_path_factory.mktemp("fuzz") / "x.json"
    whole = json.dumps(value)
    path.write_text("\n".join(map(json.dumps, value)) if as_lines and isinstance(value, list) else whole)
    try:
        files = convert([path], path.parent / "out")
    except DataError as error:
        assert str(path) in str(error)
        return
    for file in files:
        if file.questions:
            assert {fault.kind for fault in inspect_file(file.path, "")[1]} <= MENDABLE
