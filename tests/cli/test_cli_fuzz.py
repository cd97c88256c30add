"""Whatever files and settings hold: exit code 0 or 2 and a message; no other exception, no traceback."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from json_places import places

from lbkd.config import Settings
from lbkd.inference import Answerer

PASSAGE = "The cat sat on the mat. Then the dog ran off."
QUESTIONS = [
    {"id": "q1", "question": "Who sat?", "answers": [{"text": "cat", "answer_start": 4}]},
    {"id": "q2", "question": "Who slept?", "answers": [], "is_impossible": True},
]
DOCUMENT = {
    "version": "2",
    "data": [{"title": "Pets", "paragraphs": [{"context": PASSAGE, "qas": QUESTIONS}]}],
}
PREDICTIONS = {"q1": "the cat", "q2": ""}
LINE = {"question": "Who sat?", "passage": PASSAGE}

texts = st.text(st.characters(), max_size=12)  # half surrogate pairs included
odd_texts = st.sampled_from(
    ["", " ", "\x00", "\ud800", "\u200b", "[/]", "{x}", "q1", "cat", "é" * 300, "\x1b[2J"]
)
numbers = st.integers(-2, 400) | st.sampled_from([2**31, 10**18, 0.5, -1e308, 1e-300])
scalars = st.none() | st.booleans() | numbers | st.just(10**400) | odd_texts | texts
likely = numbers | odd_texts | st.sampled_from(["cat", "en,es", "fp32", True, ["en", "es"]])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)


def quick(examples: int) -> Callable[..., Any]:
    """So many examples, in one folder."""
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@st.composite
def changed(draw: st.DrawFn, document: Any) -> bytes:
    """A document as JSON, some values others or gone, perhaps some bytes too."""
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        if known := list(places(copy)):
            *path, last = draw(st.sampled_from(known))
            parent = copy
            for key in path:
                parent = parent[key]
            if draw(st.integers(0, 4)):
                parent[last] = json.loads(json.dumps(draw(likely | values)))  # its own
            else:
                del parent[last]
    content = bytearray(json.dumps(copy).encode())
    if draw(st.integers(0, 7)) == 0:
        start = draw(st.integers(0, len(content)))
        content[start : start + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=3) | st.sampled_from([b"NaN", b"1e999", b"[" * 400, b"\n", b"\xef\xbb\xbf"])
        )
    return bytes(content)


@pytest.fixture
def answered(lbkd: Callable[..., Any]) -> Callable[..., None]:
    """Runs a command line and looks at how it ended."""

    def answer(*arguments: object, quiet: bool = True) -> None:
        done = lbkd(*arguments)
        assert done.code in (0, 2)
        assert "Traceback" not in done.err
        assert len(done.err.splitlines()) <= 24, "more than a screen"
        if done.code == 2:
            assert done.err.startswith(("error: ", "Usage: ")) or not quiet
        if "--json" in arguments and done.out:
            assert done.json or done.code == 0

    return answer


@quick(80)
@given(content=st.binary(max_size=20) | changed(DOCUMENT), as_json=st.booleans())
def test_data_check(answered: Callable[..., None], content: bytes, as_json: bool) -> None:
    Path("x.json").write_bytes(content)
    answered("data", "check", "x.json", *["--json"] * as_json, quiet=False)


@quick(80)
@given(
    gold=changed(DOCUMENT),
    predictions=changed(PREDICTIONS),
    odds=st.none() | changed({"q1": 0.5, "q2": 1}),
    metric=st.sampled_from(["squad-v2", "squad-v2", "mlqa", "squad-v1"]) | texts,
)
def test_score(
    answered: Callable[..., None], gold: bytes, predictions: bytes, odds: bytes | None, metric: str
) -> None:
    for name, content in (("g.json", gold), ("p.json", predictions), ("o.json", odds)):
        Path(name).write_bytes(content or b"")
    answered("score", "g.json", "p.json", f"--metric={metric}", *(["--no-answer", "o.json"] if odds else []))


@quick(80)
@given(lines=st.lists(changed(LINE), max_size=3), top_k=st.integers(1, 5), no_answer=st.booleans())
def test_predict(
    answered: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tiny_model_folder: Path,
    lines: list[bytes],
    top_k: int,
    no_answer: bool,
) -> None:
    monkeypatch.setattr("lbkd.inference.Answerer", loaded_once)
    Path("asked.jsonl").write_bytes(b"\n".join(lines))
    options = ["--top-k", top_k, *["--no-answer"] * no_answer]
    answered("predict", "--model", tiny_model_folder, "--file", "asked.jsonl", *options)


loaded_once = cache(Answerer)

RUN = {
    "name": "baseline",
    "components": {"task": "baseline", "task_options": {}, "weighting": "impurity"},
    "settings": Settings().model_dump(mode="json"),
    "provenance": {"seed": 1},
}


@quick(60)
@given(content=st.binary(max_size=20) | changed(RUN), as_json=st.booleans())
def test_status(answered: Callable[..., None], content: bytes, as_json: bool) -> None:
    run = Path("lbkd-work/runs/baseline")
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_bytes(content)
    answered("status", *["--json"] * as_json)


@quick(40)
@given(english=changed(DOCUMENT), spanish=changed(DOCUMENT))
def test_corpus(
    answered: Callable[..., None], tiny_model_folder: Path, english: bytes, spanish: bytes
) -> None:
    Path("corpus").mkdir(exist_ok=True)
    Path("corpus/train.en.json").write_bytes(english)
    Path("corpus/train.es.json").write_bytes(spanish)
    answered(
        *[
            "data",
            "stats",
            "--corpus",
            "corpus",
            "--languages",
            "en,es",
            "--model",
            tiny_model_folder,
            "--json",
        ]
    )


KEYS = [
    f"{section}.{key}"
    for section, field in Settings.model_fields.items()
    for key in getattr(field.annotation, "model_fields", ())
    if key not in ("dir", "name")  # those decide what is read and made, see below
] + ["seed", "weighting", "task.x", "corpus", "nonsense", "training.epochs.x", ".."]
PLACES = st.sampled_from(["", ".", "corpus", "nowhere", "a\x00b", "x" * 300, "lbkd.toml", "\ud800"])


@quick(60)
@given(
    pairs=st.lists(st.tuples(st.sampled_from(KEYS), likely), max_size=2),
    folder=st.none() | st.none() | PLACES,
    junk=texts,
)
def test_set(
    answered: Callable[..., None],
    tiny_model_folder: Path,
    pairs: list[tuple[str, Any]],
    folder: str | None,
    junk: str,
) -> None:
    corpus()
    sets = [f"{key}={json.dumps(value)}" for key, value in pairs]
    if folder is not None:
        sets.append(f"corpus.dir={json.dumps(folder)}")
    if junk.startswith("="):
        sets.append(junk)
    words = [word for text in sets for word in ("--set", text)]
    answered("data", "stats", "--corpus", "corpus", "--model", tiny_model_folder, *words)


@quick(60)
@given(
    pairs=st.lists(st.tuples(st.sampled_from(KEYS), likely), max_size=2),
    workspace=st.just("work") | PLACES,
    junk=st.just(b"")
    | st.just(b"")
    | st.binary(max_size=8)
    | texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
)
def test_settings_file(
    answered: Callable[..., None],
    tiny_model_folder: Path,
    pairs: list[tuple[str, Any]],
    workspace: str,
    junk: bytes,
) -> None:
    corpus()
    lines = [
        f"workspace = {json.dumps(workspace)}",
        *(f"{key} = {json.dumps(value)}" for key, value in pairs),
    ]
    Path("lbkd.toml").write_bytes("\n".join(lines).encode() + b"\n" + junk)
    answered("data", "stats", "--corpus", "corpus", "--model", tiny_model_folder)


def corpus() -> None:
    """A sound corpus of two languages in the folder."""
    Path("corpus").mkdir(exist_ok=True)
    for language in ("en", "es", "de"):
        Path(f"corpus/train.{language}.json").write_text(json.dumps(DOCUMENT))
