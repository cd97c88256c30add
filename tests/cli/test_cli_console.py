import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lbkd_cli import console, score_tables
from rich.console import Console


def rows(*models: str) -> list[Mapping[str, Any]]:
    """Scores in six languages, three of them zero-shot."""
    return [
        {
            "model": model,
            "language": language,
            "zero_shot": n > 2,
            "exact_match": 51.24,
            "f1": 60.25 + n,
            "questions": 30,
            "shared_questions": 30,
        }
        for model in models
        for n, language in enumerate(("en", "es", "de", "ar", "hi", "vi"))
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_scores_stay_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    long = "distill.combined.near-gold-of-somebody-else.seed1234567"
    wide = Console(
        width=80, force_terminal=terminal, no_color=True, soft_wrap=True, markup=False, highlight=False
    )
    for module in (console, score_tables):
        monkeypatch.setattr(module, "out", wide)
    score_tables.scores_table(rows("baseline", long))
    first, *lines, last = capsys.readouterr().out.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert first.split() == ["EM", "/", "F1", "en", "es", "de", "ar*", "hi*", "vi*"]
    assert [line.split()[0] for line in lines] == ["baseline", long]
    assert all(line.count("51.2 / 6") == 6 for line in lines)
    assert "zero-shot" in last


def test_a_model_without_a_language_has_an_empty_cell(capsys: pytest.CaptureFixture[str]) -> None:
    score_tables.scores_table([*rows("a"), rows("b")[1]])
    line = capsys.readouterr().out.splitlines()[2]
    assert line.split() == ["b", "51.2", "/", "61.2"]


def test_a_language_that_only_some_models_learnt(capsys: pytest.CaptureFixture[str]) -> None:
    """The asterisk stands at the models that did not."""
    learnt = [{**row, "zero_shot": row["language"] == "vi"} for row in rows("more")]
    score_tables.scores_table([*rows("less"), *learnt])
    head, less, more, last = capsys.readouterr().out.splitlines()
    assert head.split()[3:] == ["en", "es", "de", "ar", "hi", "vi*"]
    cells = [line.rstrip() for line in less.split("51.2 / ")[1:]]
    assert cells == ["60.2", "61.2", "62.2", "63.2*", "64.2*", "65.2"]
    assert "*" not in more
    assert "zero-shot" in last


def test_columns_that_rest_on_different_questions(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"en": 54, "es": 33, "de": 30}
    some = [{**row, "questions": counts[row["language"]], "shared_questions": 30} for row in rows("a")[:3]]
    score_tables.scores_table(some)
    head, _, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["EM", "/", "F1", "en", "(54)", "es", "(33)", "de", "(30)"]
    assert last == "Columns rest on different questions, (n) of them; only 30 are asked in every language."
    equally_many = [{**row, "questions": 30, "shared_questions": 20} for row in some]
    score_tables.scores_table(equally_many)
    assert "only 20 are asked in every language" in capsys.readouterr().out
    score_tables.matrix_table([{**row, "question_language": row["language"]} for row in some])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "A cell rests on 30 to 54 questions; only 30 are asked in every language."


def test_only_about_is_folded_and_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = ["n" * 30, "word " * 30]
    console.table(["name", "about"], [row])
    assert len(capsys.readouterr().out.splitlines()) == 2
    monkeypatch.setattr(console, "out", Console(width=60, force_terminal=True, soft_wrap=True))
    console.table(["name", "about"], [row])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert max(map(len, lines[1:])) <= 60
    assert lines[2].startswith(" " * 32 + "word")


def test_cells_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(["[bold]", ":smile:"], [["[x]", "[/]"], ["日本", "dict[str, int]"]])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "[bold]  :smile:",
        "[x]     [/]",
        "日本    dict[str, int]",
    ]


def test_no_text_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and other controls of texts are shown; marks that scripts need stay."""
    console.table(["\x1b[2J", "b"], [["\x1b]0;title\x07", "\u200fא\u200dב"], ["\x9b31m\r", "\x7f"]])
    console.out.print("a\tb\x1b[31m")
    console.show_error("c\x1bd")
    found = capsys.readouterr()
    assert [line.rstrip() for line in found.out.splitlines()] == [
        r"\x1b[2J           b",
        "\\x1b]0;title\\x07  \u200fא\u200dב",
        r"\x9b31m\x0d       \x7f",
        r"a       b\x1b[31m",
    ]
    assert found.err == "error: c\\x1bd\n"


def test_json_is_text_in_all_languages(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"a": "ñ हिन्दी"})
    printed = capsys.readouterr().out
    assert "ñ हिन्दी" in printed
    assert json.loads(printed) == {"a": "ñ हिन्दी"}


def test_what_is_not_ours_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "out", Console())
    with console.own_output():
        print("a")
        console.out.print("b")
        console.print_json({"c": 1}, indent=None)
    assert capsys.readouterr() == ('b\n{"c": 1}\n', "a\n")


def test_progress_off_a_terminal_is_plain_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(now) + 100)
    reporter = console.Reporter(tmp_path / "new" / "log.txt")
    reporter.note("about [x] :smile: " + "long " * 20)
    for done in (10, 20, 30, 40):
        reporter.progress("model", done, 100, {"loss": 2.5, "skipped_steps": 0.0, "epoch": 1.0})
    last = {"loss": 1.25, "l1": 0.5, "learning_rate": 1e-5, "gradient_norm": 9.0, "skipped_steps": 3.0}
    reporter.progress("model", 100, 100, last)
    reporter.close()
    out, err = capsys.readouterr()
    assert out == ""
    expected = [
        ("about [x] :smile: " + "long " * 20),
        "model 10/100  loss 2.500",
        "model 30/100  loss 2.500  0:21 left",  # 20 steps in 6 seconds
        "model 100/100  loss 1.250  l1 0.500  lr 1.0e-05  3 skipped",
    ]
    assert [line.rstrip() for line in err.splitlines()] == [line.rstrip() for line in expected]
    log = (tmp_path / "new" / "log.txt").read_text().splitlines()
    assert [line[20:].rstrip() for line in log] == [line.rstrip() for line in expected]


def test_progress_on_a_narrow_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        console, "err", Console(stderr=True, width=80, force_terminal=True, no_color=True, soft_wrap=True)
    )
    reporter = console.Reporter(tmp_path / "log.txt")
    numbers = {"loss": 24.0, "nll": 9.0, "kd": 38.0, "kd_to_nll": 4.0, "tokens_per_second": 3355.0}
    reporter.progress("distill.combined.impurity", 50, 100, numbers)
    reporter._bars.refresh()
    reporter.close()
    err = capsys.readouterr().err
    assert "distill.combined.impurity" in err  # name, count, time left, and what else there is room for
    assert "50/100" in err
    assert "-:--:--" in err
    assert "loss 24.000" in err


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_duration(seconds: float, shown: str) -> None:
    assert console._duration(seconds) == shown


def test_closed_pipe() -> None:
    done = subprocess.run(
        f"{sys.executable} -m lbkd_cli list | head -n 1", shell=True, capture_output=True, text=True
    )
    assert done.stdout.split()[0] == "name"
    assert "Traceback" not in done.stderr
