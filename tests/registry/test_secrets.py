"""Secrets are named by environment variable, given to the constructor, and written nowhere."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from plugin_source import Install

from lbkd.corpus_translation.locate import RecoverySettings
from lbkd.corpus_translation.memory import TranslationMemory, create_backend
from lbkd.corpus_translation.translate import Outputs, translate
from lbkd.errors import ConfigError
from lbkd.progress import Silent
from lbkd.registry import Registry
from lbkd.registry.secrets import is_secret
from lbkd.translation import Translator
from lbkd.translation import registry as translators

PAID = '''
from lbkd.translation import Translator


class Paid(Translator):
    """Needs a key."""

    def __init__(self, api_key: str, url: str = "u") -> None:
        self.api_key, self.url = api_key, url

    def translate(self, texts, source, target):
        assert self.api_key == "s3cr3t"
        return [text.upper() for text in texts]
'''


@pytest.mark.parametrize("name", ["api_key", "apiKey", "token", "auth_token", "password", "client_secret"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["tokens", "keyword", "beams", "secrets_file"])
def test_other_names(name: str) -> None:
    assert not is_secret(name)


@pytest.fixture
def registry() -> Registry[Translator]:
    """With a translator that needs a key."""
    registry: Registry[Translator] = Registry("lbkd.translation", Translator, section="translation")

    @registry.register("paid")
    class Paid(Translator):
        """Needs a key."""

        def __init__(self, api_key: str, url: str = "u") -> None:
            self.api_key, self.url = api_key, url

        def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
            return list(texts)

    return registry


@pytest.mark.parametrize("setting", ["THE_KEY", "$THE_KEY"])
def test_the_value_comes_from_the_environment(
    registry: Registry[Translator], monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("THE_KEY", "s3cr3t")
    assert vars(registry.create("paid", {"api_key": setting})) == {"api_key": "s3cr3t", "url": "u"}
    assert registry.resolved("paid", {"api_key": setting}) == {"api_key": setting, "url": "u"}


@pytest.mark.parametrize("setting", ["s3cr3t", "$s3cr3t", 53137])
def test_a_value_is_refused_and_not_shown(registry: Registry[Translator], setting: Any) -> None:
    for use in (registry.create, registry.resolved, registry.provenance):
        with pytest.raises(
            ConfigError, match=r"translation\.paid\.api_key must name an environment"
        ) as caught:
            use("paid", {"api_key": setting})
        assert str(setting).strip("$") not in str(caught.value)


def test_no_file_has_the_secret(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("paid-engine", "paid = MODULE:Paid", PAID, group="lbkd.translation")
    monkeypatch.setenv("PAID_KEY", "s3cr3t")
    folder = tmp_path / "data"
    folder.mkdir()
    answers = [{"text": "Rome", "answer_start": 0}]
    qas = [{"id": "q", "question": "What fell?", "answers": answers}]
    source = folder / "train.en.json"
    source.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Rome fell.", "qas": qas}]}]}))
    backend = create_backend("paid", {"api_key": "PAID_KEY"})
    assert "s3cr3t" not in repr(backend)
    files = {source: {"es": folder / "train.es.json"}}
    settings = RecoverySettings("tags", ("answer",))
    report = translate(Outputs(folder, files), "en", backend, settings, folder / "w", Silent())
    made = report["train.es.json"]["backend"]
    assert (made["backend"], made["package"], made["url"]) == ("paid", "paid-engine 1.2", "u")
    written = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert len(written) == 5
    assert not any("s3cr3t" in text for text in written)


def test_a_fingerprint_with_the_secret_is_refused(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (
        PAID + '\n    def fingerprint(self, source, target):\n        return {"u": f"?key={self.api_key}"}\n'
    )
    install("telling", "telling = MODULE:Paid", told, group="lbkd.translation")
    monkeypatch.setenv("PAID_KEY", "s3cr3t")
    backend = create_backend("telling", {"api_key": "PAID_KEY"})
    with pytest.raises(ConfigError, match="'telling' holds the value of a secret") as caught:
        TranslationMemory(tmp_path, backend, "en", "es", lambda *_: None)
    assert "s3cr3t" not in str(caught.value)


def test_the_memory_knows_a_plugins_version_and_source(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    monkeypatch.setenv("PAID_KEY", "s3cr3t")

    def path() -> str:
        backend = create_backend("versions", {"api_key": "PAID_KEY"})
        return TranslationMemory(tmp_path, backend, "en", "es", lambda *_: None).path.name

    site = install("versions", "versions = MODULE:Paid", PAID, group="lbkd.translation")
    names = [path(), path()]
    metadata = site / "versions-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.2", "1.3"))
    names.append(path())
    (site / "versions.py").write_text(PAID.replace("upper", "title"))
    del sys.modules["versions"]
    names.append(path())
    assert [name == names[0] for name in names] == [True, True, False, False]
    assert names[2] != names[3]


def test_translators_that_ship_are_known_by_their_fingerprint() -> None:
    assert translators.origin("seq2seq") == "lbkd"
    assert create_backend("seq2seq", {}).code == {}
