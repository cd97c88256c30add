from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the packages of the extra lbkd[serve]")


def test_what_cannot_be_served(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "is no run in" in refused("serve", "nothing")
    assert "waiting = 5 is less than questions = 100" in refused("serve", "x", "--max-waiting", 5)
    assert "cannot be read" in refused("serve", "x", "--api-key-file", tmp_path / "none")


def test_a_model_that_cannot_be_loaded(refused: Callable[..., str], tmp_path: Path) -> None:
    for name, content in {"config.json": '{"model_type": "bert"}', "tokenizer.json": "{"}.items():
        (tmp_path / name).write_text(content)
    assert "serving" in refused("serve", tmp_path, "--port", 0, "--host", "127.0.0.2")
