"""What is read from DeepSpeed's files, whichever Python wrote them."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytest
import torch
from deepspeed.runtime.zero.config import ZeroStageEnum

from lbkd.engine import engine


class ByGetattr:
    """Pickled as an attribute of something, as Python 3.11.2 pickles members of enumerations."""

    def __init__(self, kind: Any, name: str) -> None:
        self.whole = kind, name

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, self.whole


def test_members_of_an_enumeration_that_were_written_as_attributes(tmp_path: Path) -> None:
    file = tmp_path / "states.pt"
    torch.save({"stage": ByGetattr(ZeroStageEnum, "weights"), "x": torch.ones(2)}, file)
    found = engine._read(str(file))
    assert found["stage"] is ZeroStageEnum.weights
    assert found["x"].tolist() == [1, 1]


def test_attributes_of_other_things_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "states.pt"
    torch.save({"stage": ByGetattr(torch.Tensor, "numpy")}, file)
    with pytest.raises(UnpicklingError, match="asks for 'numpy' of"):
        engine._read(str(file))
