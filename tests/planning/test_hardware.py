import pytest

from lbkd.errors import ConfigError
from lbkd.planning.hardware import GPUS, hardware


@pytest.mark.parametrize(
    ("text", "ranks", "teraflops", "gib"),
    [("h100x8", 8, 989, 80), ("H100", 1, 989, 80), ("rtx4090", 1, 165, 24), ("rtx4090x2", 2, 165, 24)],
)
def test_names(text: str, ranks: int, teraflops: int, gib: int) -> None:
    found = hardware(text)
    assert (found.ranks, found.flops, found.memory) == (ranks, teraflops * 1e12, gib * 2**30)
    assert (found.precision, found.device) == ("bf16", "cuda")


def test_all_names_are_understood() -> None:
    assert [hardware(f"{name}x3").ranks for name in GPUS] == [3] * len(GPUS)
    assert hardware("t4").precision == "fp16"


@pytest.mark.parametrize("text", ["h10", "h10x8", "h100x0", "h100x", "h100 x 8", "8xh100"])
def test_an_unknown_one_is_told_with_the_nearest(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"--hardware '.*': not known; did you mean 'h100'\? Choices: a10, a100"
    ):
        hardware(text)


def test_nothing_near() -> None:
    with pytest.raises(ConfigError, match="choices: a10, .*Leave it out to measure this machine"):
        hardware("abacus")
