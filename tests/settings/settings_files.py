"""What tests of the settings share."""

from pathlib import Path
from typing import Any

import pytest

from lbkd.errors import ConfigError
from lbkd.settings import FILE_NAME, load_settings


def wrote(folder: Path, text: str) -> Path:
    """A folder with this lbkd.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return folder


def refused(overrides: dict[str, Any], folder: Path) -> str:
    """The error's text."""
    with pytest.raises(ConfigError) as caught:
        load_settings(overrides, folder)
    return str(caught.value)
