"""Files of a workspace with a flipped bit or a cut tail: noticed, made again or refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from run_folders import as_run

from lbkd.errors import DataError
from lbkd.features.tokens import stored_tokens, tokenizer_hash
from lbkd.models.prepare import prepare
from lbkd.models.run_folder import read_run, trained
from lbkd.workspace import MANIFEST, damaged, write_manifest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TEXTS = ["The wheel was built in 2002.", "By engineers from Scotland."]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def lose(path: Path) -> None:
    path.unlink()


DAMAGES = [flip, cut, lose]
Damage = Callable[[Path], None]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_manifest_knows_every_file(tmp_path: Path, damage: Damage) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("a", "inner/b"):
        (tmp_path / name).write_text(name * 10)
    assert damaged(tmp_path) == [MANIFEST]
    write_manifest(tmp_path)
    assert damaged(tmp_path) == []
    damage(tmp_path / "inner/b")
    assert damaged(tmp_path) == ["inner/b"]
    (tmp_path / MANIFEST).write_text("[]")
    assert damaged(tmp_path) == [MANIFEST]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["rows.npy", "tokens.npy", MANIFEST])
def test_damaged_tokens_are_made_again(
    wordpiece_tokenizer: "PreTrainedTokenizerFast", tmp_path: Path, name: str, damage: Damage
) -> None:
    def table() -> list[list[int]]:
        hashed = tokenizer_hash(wordpiece_tokenizer)
        found = stored_tokens(TEXTS, wordpiece_tokenizer, "en", hashed, tmp_path)
        return [np.asarray(part).tolist() for part in vars(found).values()]

    before = table()
    [place] = tmp_path.iterdir()
    damage(place / name)
    assert table() == before
    assert damaged(place) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_encoder_is_prepared_again(tiny_model_folder: Path, tmp_path: Path, damage: Damage) -> None:
    def made() -> Path:
        return Path(prepare(str(tiny_model_folder), 10, TEXTS, tmp_path))

    weights = (made() / "model.safetensors").read_bytes()
    damage(made() / "model.safetensors")
    assert (made() / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", MANIFEST])
def test_a_damaged_run_is_refused(tiny_model_folder: Path, tmp_path: Path, name: str, damage: Damage) -> None:
    run = as_run(tiny_model_folder, tmp_path / "run")
    trained(run)
    damage(run / "model" / name)
    named = r"\S+" if name == MANIFEST else name  # another letter in a name: a file that is not there
    with pytest.raises(DataError, match=f"run/model/{named} is missing or damaged; remove .*run"):
        trained(run)


def other_digit(path: Path) -> None:
    path.write_text(path.read_text().replace("384", "385"))


@pytest.mark.parametrize("damage", [flip, cut, other_digit])
def test_a_damaged_description_is_refused(tiny_model_folder: Path, tmp_path: Path, damage: Damage) -> None:
    run = as_run(tiny_model_folder, tmp_path / "run")
    found = read_run(run)
    assert found is not None
    assert found.settings.model.max_length == 384
    damage(run / "run.json")
    with pytest.raises(DataError, match=r"run/run\.json: damaged, or not written by this .* Remove .*run to"):
        trained(run)
