import pytest
import torch

from lbkd.distributed.device import compute_dtype


@pytest.mark.parametrize(
    ("choice", "gpu", "bf16", "expected"),
    [
        ("auto", False, False, torch.float32),
        ("auto", True, True, torch.bfloat16),
        ("auto", True, False, torch.float16),
        ("fp32", True, True, torch.float32),
        ("bf16", False, False, torch.bfloat16),
        ("fp16", True, True, torch.float16),
    ],
)
def test_precision(
    choice: str, gpu: bool, bf16: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert compute_dtype(choice) is expected
