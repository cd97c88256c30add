"""The benchmark of a hundred languages, with a few."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import common
from benchmarks.hundred import main
from benchmarks.made_up import Language, build, paths, word_tokenizer
from lbkd.features.tokens import tokenizer_hash


def test_tables_that_are_written_at_once_are_those_of_the_files(tmp_path: Path) -> None:
    hashed = tokenizer_hash(word_tokenizer())
    for kind in ("file", "tables"):
        (tmp_path / kind).mkdir()
    for n in range(3):
        language = Language(n, 7)
        language.write_file(paths(tmp_path / "file", 3)[language.code])
        language.write_tables(paths(tmp_path / "tables", 3)[language.code], tmp_path / "tables", hashed)
    read, written = build(tmp_path / "file", 3), build(tmp_path / "tables", 3)
    pairs = [(k, j) for k in read.languages for j in read.languages]
    ids = read.features(pairs)
    assert len(ids) >= 9 * 35
    assert np.array_equal(written.features(pairs), ids)
    ours, theirs = read.windows(ids), written.windows(ids)
    assert (ours.first >= 0).any()
    for name, values in vars(ours).items():
        assert np.array_equal(values, getattr(theirs, name)), name
    for mine, other in zip(read.ids(ours), written.ids(theirs), strict=True):
        assert np.array_equal(mine[0], other[0]) and np.array_equal(mine[1], other[1])
    for code in read.languages:
        mine, other = read.corpus.datasets[code], written.corpus.datasets[code]
        assert list(mine.passages) == list(other.passages)
        assert list(mine.questions) == list(other.questions)


def test_a_small_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    size = ["--languages", "3", "--passages", "8", "--batches", "50"]
    monkeypatch.setattr(sys, "argv", ["hundred", *size])
    main()
    found = json.loads((tmp_path / "hundred.json").read_text())["details"]
    assert found["batches"] == 50
    assert 50 < found["memory"]["VmHWM"] < 2000
