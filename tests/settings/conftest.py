from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _no_settings_of_the_built_in_corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lbkd.settings.BUILTIN_CORPUS", tmp_path_factory.mktemp("builtin"))
        yield
