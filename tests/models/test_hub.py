"""Hub models: which commit is loaded, told without a network from a cache as the hub's client leaves it."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lbkd.errors import ConfigError
from lbkd.models.load import commit_of, load_span_model, load_tokenizer
from lbkd.models.prepare import prepare

FIRST, SECOND = "1" * 40, "2" * 40


@pytest.fixture
def hub(tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`someone/tiny` with two commits: `v1`, and `main`, whose word vectors are larger by 1."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    place = tmp_path / "models--someone--tiny"
    for commit in (FIRST, SECOND):
        shutil.copytree(tiny_model_folder, place / "snapshots" / commit)
    file = place / "snapshots" / SECOND / "model.safetensors"
    weights = load_file(file)
    [name] = [name for name in weights if name.endswith("word_embeddings.weight")]
    save_file(weights | {name: weights[name] + 1}, file, metadata={"format": "pt"})
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(SECOND)
    (place / "refs" / "v1").write_text(FIRST)
    return place


def vectors(name: str) -> torch.Tensor:
    return load_span_model(name).get_input_embeddings().weight.detach()  # type: ignore[no-any-return]


def test_a_revision_is_the_commit_that_it_names(hub: Path) -> None:
    assert commit_of("someone/tiny") == SECOND
    assert commit_of("someone/tiny", "main") == SECOND
    assert commit_of("someone/tiny", "v1") == FIRST
    assert commit_of("someone/tiny", FIRST) == FIRST


def test_the_commit_is_what_is_loaded(hub: Path, tmp_path: Path) -> None:
    first, second = vectors(f"someone/tiny@{FIRST}"), vectors("someone/tiny")
    torch.testing.assert_close(second - first, torch.ones_like(first))
    assert load_tokenizer(f"someone/tiny@{FIRST}").is_fast
    made = [prepare(f"someone/tiny@{commit}", 5, ["a"], tmp_path / "made") for commit in (FIRST, SECOND)]
    assert made[0] != made[1]


def test_the_hub_moves_on_and_the_result_is_stale(hub: Path) -> None:
    before = commit_of("someone/tiny")
    (hub / "refs" / "main").write_text(FIRST)
    assert commit_of("someone/tiny") != before


def test_no_such_revision(hub: Path, tiny_model_folder: Path) -> None:
    with pytest.raises(ConfigError, match="model 'someone/tiny@v9': no usable"):
        commit_of("someone/tiny", "v9")
    for name in ("e5-small", str(tiny_model_folder)):
        assert commit_of(name) is None
        with pytest.raises(ConfigError, match=r"model\.revision = 'v1': only hub models have one"):
            commit_of(name, "v1")
