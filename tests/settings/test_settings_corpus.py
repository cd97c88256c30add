"""What a corpus's own `lbkd.toml` may set: a folder of data does not decide what runs, and where."""

from pathlib import Path

import pytest
from settings_files import refused, wrote

from lbkd.config import BUILTIN_CORPUS, Settings
from lbkd.settings import FILE_NAME, load_settings, read_toml


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[model]\ntrust_remote_code = true", "model.trust_remote_code"),
        ("[model]\ntrust_remote_code = false", "model.trust_remote_code"),
        ("[model]\nname = 'evil/model'", "model.name"),
        ("[model]\nrevision = 'main'", "model.revision"),
        ("workspace = 'work'", "workspace"),
        ("overwrite = true", "overwrite"),
        ("[corpus]\nallow_overlap = true", "corpus.allow_overlap"),
        ("workspace = 'w'\n[model]\nname = 'x'\n[training]\nepochs = 2", "workspace, model.name"),
        ("[runtime]\nprecision = 'fp32'", "runtime"),
        ("[runtime]\ndeepspeed = 'ds.json'", "runtime"),
        ("[translation.seq2seq]\nmodel = 'evil/model'", "translation"),
        ("[tracker]\nname = ['mlflow']", "tracker"),
        ("[tracker.mlflow]\nuri = 'https://evil'", "tracker"),
        ("[task.distill]\nteachers = ['en', 'es=org/reader']", "task.distill.teachers[1]"),
    ],
)
def test_what_is_the_users_alone(tmp_path: Path, text: str, key: str) -> None:
    data = wrote(tmp_path / "data", text)
    message = refused({"corpus.dir": str(data)}, tmp_path)
    assert message.startswith(f"{data / FILE_NAME}: {key}: a corpus's own file must not set this.")
    assert "--set" in message
    wrote(tmp_path, text)  # the same lines in the current folder's file
    (data / FILE_NAME).unlink()
    assert load_settings({"corpus.dir": str(data)}, tmp_path) != Settings()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[corpus]\nbenchmarks = '../other'", "corpus.benchmarks"),
        ("[corpus]\nbenchmarks = '/etc'", "corpus.benchmarks"),
        ("[corpus]\nfiles = '../{split}.{language}.json'", "corpus.files"),
        ("[corpus]\nfiles = '/etc/{split}.{language}.json'", "corpus.files"),
        ("[corpus]\ntrain = '../../train'", "corpus.train"),
        ("[corpus]\ndev = '../secret/dev'", "corpus.dev"),
        ("[corpus]\ntest = '/etc/test'", "corpus.test"),
        ("[training]\nselect_on = '../secret/dev'", "training.select_on"),
        ("[corpus]\nfiles = '{split}/../secret.{language}.json'\ntrain = 'a'", "corpus.files"),
        ("[corpus]\nfiles = '{split}./{language}.json'\ntrain = '.'", "corpus.train"),
        ("[task.lakm]\nphrases = 'a/../../lists'", "task.lakm.phrases"),
        ("[task.lakm]\nphrases = '/etc'", "task.lakm.phrases"),
    ],
)
def test_no_path_leads_out_of_the_corpus(tmp_path: Path, text: str, key: str) -> None:
    data = wrote(tmp_path / "data", text)
    message = refused({"corpus.dir": str(data)}, tmp_path)
    assert message.startswith(f"{data / FILE_NAME}: {key}: a corpus's own file must not name ")


def test_what_belongs_to_a_corpus_and_to_learning_from_it(tmp_path: Path) -> None:
    data = wrote(
        tmp_path / "data",
        "seed = 3\n[corpus]\nfiles = '{language}/{split}.json'\nlanguages = ['en', 'es']\n"
        "benchmarks = 'public'\n"
        "[model]\nmax_length = 256\ndropout = 0.0\n[training]\nepochs = 2\n[evaluation]\nmetric = 'mlqa'\n"
        "[task.lakm]\nphrases = 'lists'\n[criterion.combined]\nkd_weight = 0.7\n[weighting]\nname = 'margin'",
    )
    found = load_settings({"corpus.dir": str(data)}, tmp_path)
    assert (found.seed, found.training.epochs, found.model.max_length) == (3, 2, 256)
    assert found.corpus.benchmarks == data / "public"
    assert found.task.options("lakm") == {"phrases": str(data / "lists")}
    assert found.weighting.name == "margin"


def test_the_corpus_that_ships_keeps_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbkd.settings.BUILTIN_CORPUS", BUILTIN_CORPUS)
    assert load_settings({}, tmp_path).training.epochs == 2
    assert read_toml(BUILTIN_CORPUS / FILE_NAME)["model"] == {"dropout": 0.0}
