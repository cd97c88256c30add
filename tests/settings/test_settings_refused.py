import math
from pathlib import Path
from typing import Any

import pytest
from settings_files import refused, wrote

from lbkd.settings import FILE_NAME, load_settings


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
        ("training.epochs", "many", "training.epochs = 'many': Input should be a valid number"),
        ("training.batch_size", 2.5, "training.batch_size = '2.5': Input should be a valid integer"),
        ("training.epochs", 0, "training.epochs = '0': Input should be greater than 0"),
        ("training.batch_size", 0, "training.batch_size = '0': Input should be greater than or equal to 1"),
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
        ("corpus.languages", "en,../../x", "corpus.languages = 'en,../../x': files are named by a language"),
        ("corpus.zero_shot", ["a/b"], "corpus.zero_shot = \"['a/b']\": files are named by a language"),
        ("corpus.languages", "en,\x1b[2J", "corpus.languages = 'en,\\x1b[2J': files are named by a lang"),
        ("corpus.source", "", "corpus.source = '': files are named by a language"),
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
    texts = {"training.epochs": "3", "training.warmup_ratio": "0.5", "corpus.limit": "7"}
    found = load_settings(texts, tmp_path)
    assert (found.training.epochs, found.training.warmup_ratio, found.corpus.limit) == (3, 0.5, 7)


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    assert len(refused({"training.epochs": "x" * 10_000}, tmp_path)) < 300
    wrote(tmp_path, f"seed = 0x{'f' * 10_000}")
    assert f"{tmp_path / FILE_NAME}: seed = a int too large to show: " in refused({}, tmp_path)


def test_the_source_must_be_among_the_languages(tmp_path: Path) -> None:
    expected = "corpus.source is 'en', which is not among corpus.languages (de, es)."
    assert refused({"corpus.languages": "de,es"}, tmp_path).startswith(expected)
    found = load_settings({"corpus.languages": "de,es", "corpus.source": "de"}, tmp_path)
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
