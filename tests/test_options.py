import pytest

from lbkd.errors import ConfigError
from lbkd.options import checked_arguments


def test_checked_arguments() -> None:
    def target(size: int, names: tuple[str, ...] = (), rate: float | None = None) -> None: ...

    assert checked_arguments(target, {"size": "3"}, "it") == {"size": 3, "names": (), "rate": None}
    found = checked_arguments(target, {"size": 3, "names": ["a"], "rate": 1}, "it")
    assert found == {"size": 3, "names": ("a",), "rate": 1.0}
    for options, expected in [
        ({}, "'it.size' is needed: --set it.size=VALUE (int)."),
        (
            {"size": 1, "nmes": []},
            "no option 'it.nmes'; did you mean 'it.names'? Choices: it.names, ",
        ),
        ({"size": "x", "rate": "y"}, "it.size = 'x': "),
    ]:
        with pytest.raises(ConfigError) as caught:
            checked_arguments(target, options, "it")  # type: ignore[arg-type]
        assert str(caught.value).startswith(expected)
