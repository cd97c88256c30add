"""Errors are of the built-in kinds that callers of other libraries catch, too."""

import pickle
from pathlib import Path

import pytest

from lbkd import Answerer, criterion_registry, load_settings, weighting_registry
from lbkd.errors import ConfigError, DataError, LbkdError, MissingKeyError, UnknownNameError


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
