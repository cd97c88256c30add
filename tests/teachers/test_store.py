import json
import re
from pathlib import Path

import numpy as np
import pytest
from stores import INGREDIENTS, assert_whole, check, contents, fill, first_byte, flip, make

from lbkd.errors import DataError
from lbkd.teachers import store as module
from lbkd.teachers.store import LogitsStore


def test_what_is_written_is_read_back(store: LogitsStore) -> None:
    assert fill(store) == [0, 1, 2, 3, 4]
    assert store.blocks == 5
    assert_whole(store)


def test_any_order_and_repetition(store: LogitsStore) -> None:
    fill(store)
    rng = np.random.default_rng(1)
    check(store, rng.permutation(store.features))
    check(store, rng.choice(store.features, 50))
    check(store, store.features[[17]], width=int(store.lengths[17]))
    check(store, store.features[:0])


def test_precision(tmp_path: Path) -> None:
    store = LogitsStore(tmp_path / "logits", np.array([7]), np.array([4]))
    store.prepare({})
    values = np.array([4105, 11.4, 12.6, 10], dtype=np.float32)  # a step is (4105 - 10) / 4095 = 1
    store.write(0, values, -values, 0)
    start, end = store.open({}).read(np.array([7]), 5)
    assert start.tolist() == [[4105, 11, 13, 10, -np.inf]]
    assert end.tolist() == [[-4105, -11, -13, -10, -np.inf]]


def test_unknown_windows_are_refused(store: LogitsStore) -> None:
    fill(store)
    stored = store.open(INGREDIENTS)
    for stranger in (0, int(store.features[3]) + 1, int(store.features[-1]) + 1):
        with pytest.raises(DataError, match="lacks some of these windows"):
            stored.read(np.array([store.features[0], stranger]), 41)


def test_size_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A token costs 2 ends * 12 bits = 3 bytes, a window 16 more. A padded fp32 cache takes 2 ends * 384
    # positions * 4 bytes = 3072 a window: 4.3 times as much where windows have 234 tokens, the mean of XQuAD
    # in six languages with a multilingual vocabulary.
    monkeypatch.setattr(module, "BLOCK", 512)
    lengths = np.random.default_rng(0).integers(85, 384, 5000)
    store = LogitsStore(tmp_path / "logits", np.arange(5000), lengths)
    store.prepare(INGREDIENTS)
    for number in range(store.blocks):
        zeros = np.zeros(int(lengths[store.block(number)].sum()), dtype=np.float32)
        store.write(number, zeros, zeros, 0)
    size = sum(path.stat().st_size for path in store.folder.iterdir())
    assert lengths.mean() == pytest.approx(234, abs=2)
    odd = int((lengths % 2).sum())  # half a byte for each end is left over
    assert 3 * lengths.sum() + 16 * 5000 + odd <= size < 3 * lengths.sum() + 16 * 5000 + odd + 2000
    assert 2 * 384 * 4 * 5000 / size > 4.2


def test_an_interrupted_writing_goes_on_at_the_block(store: LogitsStore) -> None:
    assert fill(store, at_most=3) == [0, 1, 2]
    with pytest.raises(DataError, match=r"2 of 5 blocks .* \(the first is block 3\)"):
        store.open(INGREDIENTS)
    begin, data = first_byte(store, 3), contents(store, 3)[0].tobytes()
    with (store.folder / "start.u12").open("r+b") as file:  # killed in the middle of block 3
        file.seek(begin)
        file.write(data[: len(data) // 2])
    assert fill(store) == [3, 4]
    assert_whole(store)
    assert fill(store) == []


@pytest.mark.parametrize("half", ["start", "end"])
@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_flipped_bit_is_noticed(store: LogitsStore, half: str, number: int) -> None:
    fill(store)
    flip(store.folder / f"{half}.u12", first_byte(store, number) + 5)
    with pytest.raises(DataError, match=rf"1 of 5 blocks .* block {number}\)"):
        store.open(INGREDIENTS)
    assert fill(store) == [number]
    assert_whole(store)


@pytest.mark.parametrize("half", ["start", "end"])
def test_missing_and_cut_off_files(store: LogitsStore, half: str) -> None:
    fill(store)
    path = store.folder / f"{half}.u12"
    with path.open("r+b") as file:
        file.truncate(first_byte(store, 3) + 1)
    with pytest.raises(DataError, match=r"2 of 5 blocks .* block 3\)"):
        store.open(INGREDIENTS)
    assert fill(store) == [3, 4]
    assert_whole(store)
    path.unlink()
    with pytest.raises(DataError, match="5 of 5 blocks"):
        store.open(INGREDIENTS)
    assert fill(store) == [0, 1, 2, 3, 4]
    assert_whole(store)


@pytest.mark.parametrize("left", [0, 1, 12, 30])
def test_a_line_that_was_cut_short(store: LogitsStore, left: int) -> None:
    fill(store, at_most=3)
    lines = store.folder / "blocks.0.jsonl"
    *whole, last = lines.read_bytes().splitlines()
    lines.write_bytes(b"\n".join([*whole, last[:left]]))
    assert store.finished() == {0, 1}
    assert fill(store) == [2, 3, 4]  # block 2's new line does not run on from the cut one
    assert_whole(store)


def test_noise_among_the_lines(store: LogitsStore) -> None:
    fill(store)
    noise = b'\xff\xfe\n5\n[]\n{}\nnull\n{"block": 10000, "crc32": [0, 0]}\n{"block": -1, "crc32": [0, 0]}\n'
    lines = store.folder / "blocks.0.jsonl"
    lines.write_bytes(noise + lines.read_bytes() + noise)
    assert_whole(store)


def test_two_ranks_write_the_bytes_of_one(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    fill(one)
    assert fill(two, rank=1, world=2) == [1, 3]
    assert fill(two, rank=0, world=2) == [0, 2, 4]
    assert_whole(two)
    for half in module.HALVES:
        assert (one.folder / f"{half}.u12").read_bytes() == (two.folder / f"{half}.u12").read_bytes()


def test_another_rank_mends_a_block_with_other_bits(store: LogitsStore) -> None:
    # Rank 0 rounds otherwise than rank 1 did. Its line counts, though the stale one lies in a later file.
    fill(store, rank=1, world=2)
    fill(store, rank=0, world=2)
    flip(store.folder / "end.u12", first_byte(store, 3))
    start, end = contents(store, 3)
    store.write(3, 1.01 * start, end, 0)
    assert store.finished() == {0, 1, 2, 3, 4}
    store.open(INGREDIENTS)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"teacher": "f00d"}, "teacher"),
        ({"windows": {"max_length": 384, "step": 64}}, "windows.step"),
        ({"corpus": "tea", "teacher": "f00d"}, "corpus, teacher"),
        ({"tokenizer": "new"}, "tokenizer"),
    ],
)
def test_changed_ingredients(store: LogitsStore, changes: dict[str, object], names: str) -> None:
    fill(store)
    other = {**INGREDIENTS, **changes}
    with pytest.raises(DataError, match=rf"logits: computed with another {names}\. "):
        store.open(other)
    assert_whole(store)  # asking changed nothing
    assert store.prepare(INGREDIENTS) == ""
    assert store.finished() == {0, 1, 2, 3, 4}
    assert store.prepare(other) == names
    assert store.finished() == set()
    with pytest.raises(DataError, match="5 of 5 blocks"):
        store.open(other)


def test_ingredients_are_compared_as_json_gives_them_back(store: LogitsStore) -> None:
    provenance = {"languages": ("en", "de"), "by length": {384: 1}}
    assert store.prepare(provenance) == ""
    store.write(0, *contents(store, 0), 0)
    assert store.prepare(provenance) == ""
    assert store.finished() == {0}


def test_another_set_of_windows(store: LogitsStore) -> None:
    fill(store)
    fewer = LogitsStore(store.folder, store.features[:-1], store.lengths[:-1])
    longer = LogitsStore(store.folder, store.features, store.lengths + 1)
    for other in fewer, longer:
        with pytest.raises(DataError, match="computed with another set of windows"):
            other.open(INGREDIENTS)
    assert fewer.prepare(INGREDIENTS) == "set of windows"
    assert fewer.finished() == set()


def test_another_format_version(store: LogitsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    with pytest.raises(DataError, match="computed with another format version"):
        store.open(INGREDIENTS)


@pytest.mark.parametrize("manifest", [None, "", "[]", '{"teacher": '])
def test_no_manifest(store: LogitsStore, manifest: str | None) -> None:
    with pytest.raises(DataError, match=re.escape(str(store.folder)) + ": no teacher logits here"):
        store.open(INGREDIENTS)
    fill(store)
    path = store.folder / "manifest.json"
    path.unlink() if manifest is None else path.write_text(manifest)
    with pytest.raises(DataError, match="no teacher logits here"):
        store.open(INGREDIENTS)
    assert fill(store) == [0, 1, 2, 3, 4]
    assert_whole(store)


def test_the_manifest_can_be_read_by_people(store: LogitsStore) -> None:
    fill(store)
    manifest = json.loads((store.folder / "manifest.json").read_text())
    assert {name: manifest[name] for name in INGREDIENTS} == INGREDIENTS


def test_no_windows_at_all(tmp_path: Path) -> None:
    store = make(tmp_path / "logits", count=0)
    assert fill(store) == []
    check(store, store.features)
    with pytest.raises(DataError, match="lacks some"):
        store.open(INGREDIENTS).read(np.array([0]), 4)
