"""The table of public datasets."""

import hashlib
from pathlib import Path

import pytest

from lbkd.datasets.sources import DATASETS, dataset
from lbkd.errors import ConfigError


def test_the_table() -> None:
    assert list(DATASETS) == ["squad", "translate-train", "xquad", "mlqa"]
    assert [sum(len(source.places) for source in data.sources) for data in DATASETS.values()] == [
        2,
        12,
        12,
        98,
    ]
    places = [
        place for data in DATASETS.values() for source in data.sources for place in source.places.values()
    ]
    assert len({*places}) == len(places)
    names = [source.name for data in DATASETS.values() for source in data.sources]
    assert len({*names}) == len(names)
    for data in DATASETS.values():
        for source in data.sources:
            assert source.address.startswith("https://")
            assert (len(bytes.fromhex(source.sha256)), source.size > 500_000) == (32, True)


def test_unknown_name() -> None:
    with pytest.raises(ConfigError, match="no dataset 'xqad' to download; did you mean 'xquad'"):
        dataset("xqad")


def test_the_table_has_the_real_xquad(shared_data: Path) -> None:
    known = {source.name: source for source in DATASETS["xquad"].sources}
    files = sorted((shared_data / "xquad").glob("xquad.*.json"))
    assert len(files) == 6
    for file in files:
        body = file.read_bytes()
        assert (known[file.name].size, known[file.name].sha256) == (
            len(body),
            hashlib.sha256(body).hexdigest(),
        )


@pytest.mark.parametrize(
    ("name", "asked", "places"),
    [
        ("xquad", ["es", "de"], ["xquad/xquad.es.json", "xquad/xquad.de.json"]),
        ("squad", ["en"], ["squad/train.en.json", "squad/dev.en.json"]),
        ("translate-train", ["es"], ["squad/train.es.json", "squad/dev.es.json"]),
        (
            "mlqa",
            ["de", "es"],
            [
                f"mlqa/{split}/{split}-context-{passage}-question-{question}.json"
                for split in ("dev", "test")
                for passage in ("es", "de")
                for question in ("es", "de")
            ],
        ),
    ],
)
def test_some_languages(name: str, asked: list[str], places: list[str]) -> None:
    chosen = dataset(name).only(asked)
    found = [place for source in chosen.sources for place in source.places.values()]
    assert sorted(found) == sorted(places)


def test_all_languages_are_named() -> None:
    assert {name: len(data.languages) for name, data in DATASETS.items()} == {
        "squad": 1,
        "translate-train": 6,
        "xquad": 12,
        "mlqa": 7,
    }
    assert DATASETS["mlqa"].only(DATASETS["mlqa"].languages) == DATASETS["mlqa"]


@pytest.mark.parametrize(
    ("asked", "message"), [(["es", "fr"], "xquad has no 'fr'"), ([], "no language is named")]
)
def test_languages_that_it_lacks(asked: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataset("xquad").only(asked)
