"""Output of the command line: progress, tables, JSON, errors."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from lbkd.errors import LbkdError

out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

_SHOWN = {
    "loss": "loss {:.3f}",
    "kd_to_nll": "kd:nll {:.2f}",
    "learning_rate": "lr {:.1e}",
    "head_learning_rate": "head lr {:.1e}",
    "strings_per_second": "{:,.1f} strings/s",
    "tokens_per_second": "{:,.0f} tokens/s",
    "peak_share": "{:.0%} of matmul peak",
    "skipped_steps": "{:.0f} skipped",
    "gradient_norm": "",
    "epoch": "",
}
"""Number's name -> how it is shown; the others are parts of a loss."""
_BETWEEN_LINES = 5.0
"""Seconds between two lines of progress where no bar can be drawn."""


class Reporter:
    """Shows progress as bars on a terminal and as plain lines elsewhere; a log file always gets lines."""

    def __init__(self, log: Path | None) -> None:
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("a", encoding="utf-8") if log else None
        self._bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=10),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[numbers]}", table_column=Column(no_wrap=True, ratio=1)),
            expand=True,
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._bar: tuple[str, Any] | None = None
        self._first = (0.0, 0)
        self._last = 0.0

    def note(self, message: str) -> None:
        """Show a message on a line of its own."""
        self._line(message)
        err.print(message)

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """Move the bar of `what`, or print a line if the last one is some seconds old."""
        now = time.monotonic()
        if self._bar is None or self._bar[0] != what:
            self._bar = (what, self._bars.add_task(what, total=total, numbers=""))
            self._bars.start()
            self._first, self._last = (now, done), 0.0
        texts = (
            _SHOWN.get(name, f"{name} {{:.3f}}").format(value)
            for name, value in numbers.items()
            if value or name != "skipped_steps"
        )
        shown = "  ".join(filter(None, texts))
        self._bars.update(self._bar[1], completed=done, numbers=shown)
        if done < total and now - self._last < _BETWEEN_LINES:
            return
        self._last = now
        parts = [f"{what} {done}/{total}", shown]
        if self._first[1] < done < total:
            each = (now - self._first[0]) / (done - self._first[1])
            parts.append(f"{_duration(each * (total - done))} left")
        line = "  ".join(filter(None, parts))
        self._line(line)
        if not err.is_terminal or done >= total:
            err.print(line)
        if done >= total:
            self._bars.remove_task(self._bar[1])
            self._bar = None

    def keep(self, error: Exception) -> None:
        """Write an error into the log, with its traceback for what is no mistake of the user's."""
        self._line(f"error: {error}")
        text = getattr(error, "traceback", "")
        if not isinstance(error, LbkdError):
            text = "".join(traceback.format_exception(error))
        if self._log and text:
            self._line(text.rstrip())
            err.print(f"the traceback is in {self._log.name}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bars.stop()
        if self._log:
            self._log.close()

    def _line(self, text: str) -> None:
        if self._log:
            self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
            self._log.flush()


class Terminated(BaseException):
    """The process received the signal `number`, which ends it."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def stoppable(reporter: Reporter | None, message: str) -> Iterator[None]:
    """Turn an interrupt of the work inside into `message` and the shell's exit code; close the reporter.

    An error is kept in the log, with the traceback of one that is not the user's.
    """
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stopped:
        if reporter is not None:
            reporter.note(message)
        number = stopped.number if isinstance(stopped, Terminated) else signal.SIGINT
        raise typer.Exit(128 + number) from stopped
    except Exception as error:
        if reporter is not None:
            reporter.keep(error)
        raise
    finally:
        if reporter is not None:
            reporter.close()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on standard output.

    A row is one line, however long; on a terminal a last column `about` is folded to fit.
    """
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(headings))
    for heading in headings:
        drawn.add_column(Text(heading), no_wrap=heading != "about", overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    _whole(drawn, fold=out.is_terminal and headings[-1] == "about")


def _whole(drawn: Table, *, fold: bool = False) -> None:
    """Print a table at its full width, or folded to the terminal's."""
    width = out.width
    if not fold:
        out.width = Measurement.get(out, out.options.update(max_width=sys.maxsize), drawn).maximum
    out.print(drawn, crop=False, soft_wrap=False)
    out.width = width


def scores_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """EM / F1: one line a model, one column a language.

    An asterisk marks zero-shot languages: in the heading those of all models, in a cell those of some. Where
    columns rest on different questions, the headings have their numbers.
    """
    counts = question_counts(rows)
    languages: dict[str, list[bool]] = {}
    for row in rows:
        languages.setdefault(row["language"], []).append(bool(row["zero_shot"]))
    cells = {}
    for row in rows:
        mark = "*" if row["zero_shot"] and not all(languages[row["language"]]) else ""
        cells[row["model"], row["language"]] = f"{row['exact_match']:.1f} / {row['f1']:.1f}{mark}"
    marks = {language: "*" if all(zero) else "" for language, zero in languages.items()}
    table(
        ["EM / F1", *(f"{language}{mark}{counts.get(language, '')}" for language, mark in marks.items())],
        [
            [model, *(cells.get((model, language), "") for language in languages)]
            for model in dict.fromkeys(row["model"] for row in rows)
        ],
    )
    if any(any(zero) for zero in languages.values()):
        out.print("* zero-shot: no training data in this language", style="dim")
    note_on_questions(rows)


def note_on_questions(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say below a table that its columns rest on different questions, if they do."""
    if question_counts(rows):
        out.print(f"Columns rest on different questions, (n) of them; {_shared(rows)}.", style="dim")


def question_counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Language -> number of questions in brackets; empty if all columns rest on the same questions.

    Args:
        rows: of each model and language `language`, `questions` and `shared_questions`.
    """
    counts: dict[str, set[int]] = {}
    for row in rows:
        counts.setdefault(row["language"], set()).add(row["questions"])
    if all(row["questions"] == row["shared_questions"] for row in rows):
        return {}
    return {language: f" ({', '.join(map(str, sorted(some)))})" for language, some in counts.items()}


def _shared(rows: Sequence[Mapping[str, Any]]) -> str:
    shared = min(row["shared_questions"] for row in rows)
    return f"only {shared} are asked in every language" if shared else "none is asked in every language"


def matrix_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """F1, one table a model: languages of the passages down, of the questions across; green is high."""
    for model in dict.fromkeys(row["model"] for row in rows):
        f1 = {(r["language"], r["question_language"]): r["f1"] for r in rows if r["model"] == model}
        down, across = (list(dict.fromkeys(pair[end] for pair in f1)) for end in (0, 1))
        low, high = min(f1.values()), max(f1.values())
        out.print(f"{model}: F1, passages down, questions across")
        drawn = Table(box=None, pad_edge=False)
        for heading in ("", *across, "mean"):
            drawn.add_column(heading, justify="right")
        for passage in down:
            found = [f1.get((passage, question)) for question in across]
            there = [value for value in found if value is not None]
            cells = [_heat(value, low, high) for value in [*found, sum(there) / len(there)]]
            drawn.add_row(passage, *cells)
        _whole(drawn)
    asked = [row["questions"] for row in rows]
    if question_counts(rows):
        out.print(f"A cell rests on {min(asked)} to {max(asked)} questions; {_shared(rows)}.", style="dim")


def _heat(value: float | None, low: float, high: float) -> Text:
    if value is None:
        return Text("")
    share = (value - low) / (high - low) if high > low else 1.0
    return Text(f"{value:.1f}", style=f"black on rgb({230 - round(150 * share)},{200},{120})")


@contextmanager
def own_output() -> Iterator[None]:
    """Keep standard output for `out` and `print_json`; all else goes to standard error till the process ends.

    All else is what libraries, plugins, C code and child processes print.
    """
    out.file = sys.stdout or StringIO()  # a closed one is None
    with ExitStack() as stack:
        stack.callback(setattr, out, "file", None)  # back to whatever sys.stdout is
        with suppress(OSError, AttributeError):  # texts in memory; a closed standard error
            error, output = sys.stderr.fileno(), sys.stdout.fileno()
            out.file = stack.enter_context(
                open(os.dup(output), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
            )
            os.dup2(error, output)
        stack.enter_context(redirect_stdout(sys.stderr))
        yield


def show_error(text: str) -> None:
    """Print an error on standard error, with --quiet too."""
    err.quiet = False
    err.print("[bold red]error:[/] ", markup=True, end="")
    err.print(text)


def descriptor() -> int | None:
    """File descriptor of standard output, for the ranks; None where it has none."""
    try:
        return out.file.fileno()
    except OSError:
        return None


def print_json(value: Any, indent: int | None = 2) -> None:
    """Print one JSON value on standard output; on one line if `indent` is None."""
    out.file.write(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")
