import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from lbkd.config import BUILTIN_CORPUS as CORPUS
from lbkd.config import FILE_NAME, Settings, load, nested, parse_set
from lbkd.errors import ConfigError


@pytest.fixture(autouse=True, scope="module")
def _no_settings_of_the_built_in_corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lbkd.config.BUILTIN_CORPUS", tmp_path_factory.mktemp("builtin"))
        yield


def wrote(folder: Path, text: str) -> Path:
    """A folder with this lbkd.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return folder


def refused(overrides: dict[str, Any], folder: Path) -> str:
    """The error's text."""
    with pytest.raises(ConfigError) as caught:
        load(overrides, folder)
    return str(caught.value)


# Layers.


def test_defaults(tmp_path: Path) -> None:
    found = load({}, tmp_path)
    assert found == Settings()
    assert found.corpus.dir == CORPUS
    # section 4.1.3 of the paper
    assert (found.training.epochs, found.training.learning_rate) == (10, 1e-5)
    assert (found.training.weight_decay, found.training.adam_eps) == (0.005, 1e-8)
    # Windows step 128 tokens, a question has at most 64, a window 384
    assert (found.model.window_step, found.model.max_question_tokens, found.model.max_length) == (
        128,
        64,
        384,
    )


def test_each_layer_goes_over_the_one_before(tmp_path: Path) -> None:
    wrote(
        tmp_path / "data",
        "seed = 2\n[training]\nepochs = 2\nbatch_size = 2\nmax_grad_norm = 2.0\n[weighting]\na = 2\nb = 2",
    )
    folder = wrote(
        tmp_path / "here",
        "[corpus]\ndir = '../data'\n[training]\nepochs = 3\nbatch_size = 3\n[weighting]\nb = 3",
    )
    found = load({"training.epochs": 4, "weighting.c": 4}, folder)
    assert found.training.epochs == 4  # the command line's
    assert found.training.batch_size == 3  # of ./lbkd.toml
    assert found.training.max_grad_norm == 2.0  # of the corpus
    assert found.training.learning_rate == 1e-5  # nobody's
    assert found.weighting == {"a": 2, "b": 3, "c": 4}
    assert found.seed == 2


def test_the_command_lines_corpus_brings_its_own_settings(tmp_path: Path) -> None:
    wrote(tmp_path / "one", "seed = 11")
    wrote(tmp_path / "two", "seed = 22")
    folder = wrote(tmp_path / "here", "[corpus]\ndir = '../one'")
    assert load({}, folder).seed == 11
    found = load({"corpus.dir": str(tmp_path / "two")}, folder)
    assert (found.seed, found.corpus.dir) == (22, tmp_path / "two")
    assert load({"corpus": {"dir": tmp_path / "two"}}, folder).seed == 22


def test_a_corpus_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    wrote(tmp_path, "seed = 5\n[corpus]\ndir = '.'")
    found = load({"corpus.source": "en"}, tmp_path)
    assert found.seed == 5
    assert found.corpus.dir.samefile(tmp_path)


def test_the_built_in_corpus_has_settings_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbkd.config.BUILTIN_CORPUS", CORPUS)
    assert load({}, tmp_path).corpus.dir == CORPUS
    assert load({"training.epochs": 77}, tmp_path).training.epochs == 77


def test_languages_replace_those_of_the_layer_below(tmp_path: Path) -> None:
    wrote(tmp_path, "[corpus]\nlanguages = ['en', 'es', 'de', 'ar']")
    assert load({}, tmp_path).corpus.languages == ("en", "es", "de", "ar")
    assert load({"corpus.languages": "en, hi,"}, tmp_path).corpus.languages == ("en", "hi")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().training.epochs = 3


# Paths.


def test_paths_are_relative_to_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrote(tmp_path / "data", "[runtime]\ndeepspeed = 'ds.json'\n[task]\nphrases = 'lists'")
    wrote(tmp_path / "here", "workspace = 'w'\n[corpus]\ndir = '../data'")
    found = load({}, Path("here"))
    assert found.workspace == Path("here/w")
    assert found.corpus.dir == Path("here/../data")
    assert found.runtime.deepspeed == Path("here/../data/ds.json")
    assert found.task == {"phrases": "here/../data/lists"}


def test_absolute_paths_stay(tmp_path: Path) -> None:
    wrote(tmp_path / "here", f"workspace = '{tmp_path}'\n[corpus]\ndir = '{tmp_path / 'data'}'")
    found = load({}, tmp_path / "here")
    assert (found.workspace, found.corpus.dir) == (tmp_path, tmp_path / "data")


def test_the_command_lines_paths_are_relative_to_where_it_runs(tmp_path: Path) -> None:
    found = load({"workspace": "w", "corpus.dir": "data"}, tmp_path)
    assert (found.workspace, found.corpus.dir) == (Path("w"), Path("data"))


def test_path_of_a_corpus_file(tmp_path: Path) -> None:
    found = load({"corpus.dir": "d", "corpus.files": "{language}/{split}-v1.json"}, tmp_path)
    assert found.path("train", "es") == Path("d/es/train-v1.json")


@pytest.mark.parametrize(
    "files", ["{lang}.json", "{}.json", "{split", "{split.x}", "{split!z}", "{split[a]}"]
)
def test_a_pattern_of_other_fields(tmp_path: Path, files: str) -> None:
    with pytest.raises(ConfigError, match=r"corpus\.files = .*may hold \{split\} and \{language\} only"):
        load({"corpus.files": files}, tmp_path).path("train", "es")


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000, "\0"])
def test_a_corpus_folder_that_cannot_be(tmp_path: Path, name: str) -> None:
    assert load({"corpus.dir": name}, tmp_path).corpus.dir == Path(name)


# Errors.


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("training.epocs", "no option 'training.epocs'; did you mean 'training.epochs'? Choices: training."),
        ("trainin.epochs", "no option 'trainin'; did you mean 'training'? Choices: corpus, "),
        ("epochs", "no option 'epochs'; choices: corpus, criterion, "),
        ("corpus.zeroshot", "no option 'corpus.zeroshot'; did you mean 'corpus.zero_shot'?"),
        ("", "no option ''; choices: "),
        ("training.", "no option 'training.'"),
        ("seed.x", "seed = \"{'x': 1}\": Input should be a valid integer"),
    ],
)
def test_unknown_key(tmp_path: Path, key: str, expected: str) -> None:
    assert refused({key: 1}, tmp_path).startswith(f"the command line: {expected}")


def test_the_error_names_the_layer(tmp_path: Path) -> None:
    data = wrote(tmp_path / "data", "sed = 1")
    here = wrote(tmp_path / "here", "[corpus]\ndir = '../data'")
    assert refused({}, here).startswith(
        f"{here / '../data' / FILE_NAME}: no option 'sed'; did you mean 'seed'?"
    )
    wrote(data, "seed = 1")
    wrote(here, "[model]\nnme = 'x'")
    assert refused({"seed": 3}, here).startswith(f"{here / FILE_NAME}: no option 'model.nme'; did you mean")


def test_all_faults_of_a_layer_are_told(tmp_path: Path) -> None:
    wrote(tmp_path, "sed = 1\nseed = -1\n[training]\nepochs = 0\n[model]\nname = 3")
    lines = refused({}, tmp_path).splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"{tmp_path / FILE_NAME}: ") for line in lines)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("training.epochs", "many", "training.epochs = 'many': Input should be a valid integer"),
        ("training.epochs", 2.5, "training.epochs = '2.5': Input should be a valid integer"),
        ("training.epochs", 0, "training.epochs = '0': Input should be greater than or equal to 1"),
        (
            "training.learning_rate",
            math.nan,
            "training.learning_rate = 'nan': Input should be greater than 0",
        ),
        (
            "training.warmup_ratio",
            1.5,
            "training.warmup_ratio = '1.5': Input should be less than or equal to 1",
        ),
        ("model.dropout", 1, "model.dropout = '1': Input should be less than 1"),
        ("runtime.zero_stage", 4, "runtime.zero_stage = '4': Input should be 0, 1, 2 or 3"),
        ("runtime.precision", "fp8", "runtime.precision = 'fp8': Input should be 'auto', 'fp32', 'bf16' or"),
        ("corpus.languages", "", "corpus.languages = '[]': Tuple should have at least 1 item"),
        ("corpus.languages", 3, "corpus.languages = '3': Input should be a valid tuple"),
        ("corpus.dir", 3, "corpus.dir = '3': Input is not a valid path"),
        ("training", 3, "training = '3': Input should be a valid dictionary"),
        ("weighting", 3, "weighting = '3': Input should be a valid dictionary"),
        ("translation", 3, "translation = '3': Input should be a valid dictionary"),
        ("seed", 2**31, "seed = '2147483648': Input should be less than 2147483648"),
        (
            "model.trust_remote_code",
            "perhaps",
            "model.trust_remote_code = 'perhaps': Input should be a valid bool",
        ),
    ],
)
def test_wrong_value(tmp_path: Path, key: str, value: Any, expected: str) -> None:
    assert refused({key: value}, tmp_path).startswith(f"the command line: {expected}")


def test_numbers_may_come_as_text(tmp_path: Path) -> None:
    found = load({"training.epochs": "3", "training.warmup_ratio": "0.5", "corpus.limit": "7"}, tmp_path)
    assert (found.training.epochs, found.training.warmup_ratio, found.corpus.limit) == (3, 0.5, 7)


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    assert len(refused({"training.epochs": "x" * 10_000}, tmp_path)) < 300
    wrote(tmp_path, f"seed = 0x{'f' * 10_000}")
    assert f"{tmp_path / FILE_NAME}: seed = a int too large to show: " in refused({}, tmp_path)


def test_the_source_must_be_among_the_languages(tmp_path: Path) -> None:
    expected = "corpus.source is 'en', which is not among corpus.languages (de, es)."
    assert refused({"corpus.languages": "de,es"}, tmp_path).startswith(expected)
    found = load({"corpus.languages": "de,es", "corpus.source": "de"}, tmp_path)
    assert found.corpus.source == "de"


@pytest.mark.parametrize(
    "content", [b"seed", b"seed = ", b"[corpus", b"a = 1\na = 2", b"\xff\xfe", b"x = " + b"[" * 5000]
)
def test_no_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert refused({}, tmp_path).startswith(f"{tmp_path / FILE_NAME}: not a readable TOML file: ")


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    assert "not a readable TOML file" in refused({}, tmp_path)


# --set.


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
        ("weighting.weights={en=2, es=1}", ("weighting.weights", {"en": 2, "es": 1})),
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


# Whatever is written into the file or on the command line: Settings or ConfigError.


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
@example(content=b"", overrides={"corpus": {1: 2}, "corpus.dir": "\udcff"})
def test_any_settings(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, overrides: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "settings"
    folder.mkdir(exist_ok=True)
    (folder / FILE_NAME).write_bytes(content)
    try:
        found = load(overrides, folder)
    except ConfigError as error:
        assert str(error)
        assert len(str(error).splitlines()) <= 6
        assert len(str(error)) < 6000
    else:
        assert isinstance(found, Settings)
        assert found.corpus.source in found.corpus.languages
