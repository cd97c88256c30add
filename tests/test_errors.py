"""Errors are of the built-in kinds that callers of other libraries catch, too."""

import errno
import pickle
import re
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lbkd import Answerer, criterion_registry, load_settings, weighting_registry
from lbkd.errors import (
    ConfigError,
    DataError,
    FullDiskError,
    LbkdError,
    MissingKeyError,
    UnknownNameError,
    disk_full,
    naming_full_disk,
)


@pytest.mark.parametrize("kind", [ConfigError, DataError, UnknownNameError, MissingKeyError])
def test_errors_are_value_errors_with_their_text_as_it_is(kind: type[LbkdError]) -> None:
    error = kind("name 'a': don't.\nSee b.")
    assert isinstance(error, ValueError)
    assert isinstance(error, LbkdError)
    assert isinstance(error, KeyError) == (kind in (UnknownNameError, MissingKeyError))
    assert f"{error}" == str(pickle.loads(pickle.dumps(error))) == "name 'a': don't.\nSee b."


def test_unknown_names_are_key_errors() -> None:
    with pytest.raises(KeyError, match=r"^no weighting 'impurty'; did you mean 'impurity'\?"):
        weighting_registry.create("impurty")
    with pytest.raises(LookupError, match="^no criterion 'a'"):
        criterion_registry.get("a")


def test_settings_and_models_that_do_not_fit_are_value_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no option 'training.epoch'; did you mean 'training.epochs'\?"):
        load_settings({"training.epoch": 3})
    with pytest.raises(ValueError, match="none"):
        Answerer(tmp_path / "none")


def written_by_python(place: str) -> None:
    Path(place).write_text("x" * 100_000)


def written_by_numpy(place: str) -> None:
    np.zeros(100_000).tofile(place)


def written_by_torch(place: str) -> None:
    torch.save(torch.zeros(100_000), place)


@pytest.mark.parametrize("write", [written_by_python, written_by_numpy, written_by_torch])
def test_a_full_disk_is_known_whoever_writes(write: Callable[[str], None]) -> None:
    with pytest.raises((OSError, RuntimeError)) as caught:
        write("/dev/full")
    assert disk_full(caught.value)


def test_a_full_disk_is_told_with_its_place(tmp_path: Path) -> None:
    """The hidden file is named by the one whose place it takes; what is known inside is told outside."""
    place, beside = tmp_path / "model", tmp_path / ".model.0000.new"
    inner = naming_full_disk(beside / "weights", needed=4_000)
    with pytest.raises(FullDiskError) as caught, naming_full_disk(place, beside), inner:
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    told = rf"{place}/weights: no space is left on the disk for 4,000 bytes \([\d,]+ bytes are free\)"
    assert re.fullmatch(told, caught.value.told)
    assert pickle.loads(pickle.dumps(caught.value)).told.startswith(f"{place}/weights: no space")
    with pytest.raises(FullDiskError) as caught, naming_full_disk(place):
        raise OSError(27, "File too large", str(beside))
    assert caught.value.told.startswith(f"{beside}: the file grows too large for the disk, or for this user")
    with pytest.raises(PermissionError), naming_full_disk(place):
        raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("limited", [False, True])
def test_what_libraries_tell_without_a_number(
    tmp_path: Path, limited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that may not grow, where this process has a largest size of files."""
    most = 1000 if limited else resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, most))
    with pytest.raises(FullDiskError) as caught, naming_full_disk(tmp_path):
        raise OSError("4096 requested and 1000 written")
    assert caught.value.errno == (errno.EFBIG if limited else errno.ENOSPC)
    with pytest.raises(FullDiskError) as caught, naming_full_disk(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC


def test_what_is_no_full_disk() -> None:
    assert disk_full(Exception("Error while serializing: I/O error: No space left on device (os error 28)"))
    assert disk_full(OSError("problem writing element 1024 to file"))  # numpy's, without a number
    assert not disk_full(LbkdError("the passage says: no space left"))
    assert not disk_full(PermissionError(13, "Permission denied"))
