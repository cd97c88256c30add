from pathlib import Path

import pytest
from pydantic import ValidationError
from settings_files import wrote

from lbkd.config import BUILTIN_CORPUS as CORPUS
from lbkd.config import Settings
from lbkd.errors import ConfigError
from lbkd.settings import FILE_NAME, load_settings, paths_in, read_toml

# Layers.


def test_defaults(tmp_path: Path) -> None:
    found = load_settings({}, tmp_path)
    assert found == Settings()
    assert found.corpus.dir == CORPUS
    # section 4.1.3 of the paper
    assert (found.training.epochs, found.training.learning_rate) == (10, 1e-5)
    assert (found.training.weight_decay, found.training.adam_eps) == (0.005, 1e-8)
    # Windows step 128 tokens, a question has at most 64, a window 384
    assert (found.model.window_step, found.model.max_question_tokens, found.model.max_length) == (
        128,
        64,
        384,
    )


def test_each_layer_goes_over_the_one_before(tmp_path: Path) -> None:
    wrote(
        tmp_path / "data",
        "seed = 2\n[training]\nepochs = 2\nbatch_size = 2\nmax_grad_norm = 2.0\n"
        "[weighting.fixed]\na = 2\nb = 2",
    )
    folder = wrote(
        tmp_path / "here",
        "[corpus]\ndir = '../data'\n[training]\nepochs = 3\nbatch_size = 3\n[weighting.fixed]\nb = 3",
    )
    found = load_settings({"training.epochs": 4, "weighting.fixed.c": 4}, folder)
    assert found.training.epochs == 4  # the command line's
    assert found.training.batch_size == 3  # of ./lbkd.toml
    assert found.training.max_grad_norm == 2.0  # of the corpus
    assert found.training.learning_rate == 1e-5  # nobody's
    assert found.weighting.options("fixed") == {"a": 2, "b": 3, "c": 4}
    assert found.seed == 2


def test_the_command_lines_corpus_brings_its_own_settings(tmp_path: Path) -> None:
    wrote(tmp_path / "one", "seed = 11")
    wrote(tmp_path / "two", "seed = 22")
    folder = wrote(tmp_path / "here", "[corpus]\ndir = '../one'")
    assert load_settings({}, folder).seed == 11
    found = load_settings({"corpus.dir": str(tmp_path / "two")}, folder)
    assert (found.seed, found.corpus.dir) == (22, tmp_path / "two")
    assert load_settings({"corpus": {"dir": tmp_path / "two"}}, folder).seed == 22


def test_a_corpus_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    wrote(tmp_path, "seed = 5\n[corpus]\ndir = '.'")
    found = load_settings({"corpus.source": "en"}, tmp_path)
    assert found.seed == 5
    assert found.corpus.dir.samefile(tmp_path)


def test_the_built_in_corpus_has_settings_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbkd.settings.BUILTIN_CORPUS", CORPUS)
    assert load_settings({}, tmp_path).corpus.dir == CORPUS
    assert load_settings({"training.epochs": 77}, tmp_path).training.epochs == 77


def test_languages_replace_those_of_the_layer_below(tmp_path: Path) -> None:
    wrote(tmp_path, "[corpus]\nlanguages = ['en', 'es', 'de', 'ar']")
    assert load_settings({}, tmp_path).corpus.languages == ("en", "es", "de", "ar")
    assert load_settings({"corpus.languages": "en, hi,"}, tmp_path).corpus.languages == ("en", "hi")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().training.epochs = 3


# Paths.


def test_paths_are_relative_to_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrote(tmp_path / "data", "[task.lakm]\nphrases = 'lists'")
    (tmp_path / "here" / "encoder").mkdir(parents=True)
    wrote(
        tmp_path / "here",
        "workspace = 'w'\n[corpus]\ndir = '../data'\nbenchmarks = 'public'\n"
        "[runtime]\ndeepspeed = 'ds.json'\n"
        "[model]\nname = 'encoder'\n[translation.files]\npath = '{language}.txt'\n"
        "[task.distill]\nteachers = ['en', 'es=./encoder', 'de=a/hub-id']",
    )
    found = load_settings({}, Path("here"))
    assert found.workspace == Path("here/w")
    assert found.corpus.dir == Path("here/../data")
    assert found.corpus.benchmarks == Path("here/public")
    assert found.runtime.deepspeed == Path("here/ds.json")
    assert found.model.name == "here/encoder"
    assert found.task.options("lakm") == {"phrases": "here/../data/lists"}
    assert found.task.options("distill") == {"teachers": ["en", "es=here/encoder", "de=a/hub-id"]}
    assert found.translation.options("files") == {"path": "here/{language}.txt"}


def test_every_path_of_the_schema_is_relative_to_its_file(tmp_path: Path) -> None:
    """No list of paths is written by hand: a new setting of type Path counts at once."""
    folder = wrote(tmp_path / "a", "workspace = 'x'\n[corpus]\ndir = 'x'\nbenchmarks = 'x'\nfiles = 'x'")
    found = read_toml(folder / FILE_NAME)
    assert paths_in(found) == [
        (("corpus", "dir"), f"{folder}/x"),
        (("corpus", "benchmarks"), f"{folder}/x"),
        (("workspace",), f"{folder}/x"),
    ]
    assert found["corpus"]["files"] == "x"


def test_a_name_that_is_no_folder_beside_the_file_is_a_hub_id(tmp_path: Path) -> None:
    wrote(tmp_path, "[model]\nname = 'organization/encoder'")
    assert load_settings({}, tmp_path).model.name == "organization/encoder"


def test_absolute_paths_stay(tmp_path: Path) -> None:
    wrote(tmp_path / "here", f"workspace = '{tmp_path}'\n[corpus]\ndir = '{tmp_path / 'data'}'")
    found = load_settings({}, tmp_path / "here")
    assert (found.workspace, found.corpus.dir) == (tmp_path, tmp_path / "data")


def test_the_command_lines_paths_are_relative_to_where_it_runs(tmp_path: Path) -> None:
    found = load_settings({"workspace": "w", "corpus.dir": "data"}, tmp_path)
    assert (found.workspace, found.corpus.dir) == (Path("w"), Path("data"))


def test_path_of_a_corpus_file(tmp_path: Path) -> None:
    found = load_settings({"corpus.dir": "d", "corpus.files": "{language}/{split}-v1.json"}, tmp_path)
    assert found.path("train", "es") == Path("d/es/train-v1.json")


@pytest.mark.parametrize(
    "files", ["{lang}.json", "{}.json", "{split", "{split.x}", "{split!z}", "{split[a]}"]
)
def test_a_pattern_of_other_fields(tmp_path: Path, files: str) -> None:
    with pytest.raises(ConfigError, match=r"corpus\.files = .*may hold \{split\} and \{language\} only"):
        load_settings({"corpus.files": files}, tmp_path).path("train", "es")


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000, "\0"])
def test_a_corpus_folder_that_cannot_be(tmp_path: Path, name: str) -> None:
    assert load_settings({"corpus.dir": name}, tmp_path).corpus.dir == Path(name)
