import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd import criterions, tasks, trackers, translation, weighting
from lbkd.weighting.impurity import Impurity

REGISTRIES: dict[str, Any] = {
    "tasks": tasks.registry,
    "criterions": criterions.registry,
    "weighting": weighting.registry,
    "translation": translation.registry,
    "trackers": trackers.registry,
}


def test_list_shows_every_component(lbkd: Callable[..., Any]) -> None:
    lines = lbkd("list").out.splitlines()
    assert lines[0].split() == ["name", "kind", "package", "about"]
    expected = [[name, kind, "lbkd"] for kind, registry in REGISTRIES.items() for name in registry.names()]
    assert [line.split()[:3] for line in lines[1:]] == expected


def test_piped_rows_are_one_line_each(lbkd: Callable[..., Any]) -> None:
    [row] = [line for line in lbkd("list").out.splitlines() if line.startswith("impurity")]
    assert row.rstrip().endswith("Eq. 7 as printed (the paper's Ours-imp).")


def test_list_one_kind(lbkd: Callable[..., Any]) -> None:
    rows = lbkd("list", "weighting", "--json").json
    assert [row["name"] for row in rows] == weighting.registry.names()
    assert {row["kind"] for row in rows} == {"weighting"}
    about = (Impurity.__doc__ or "").partition("\n")[0]
    assert {"name": "impurity", "kind": "weighting", "package": "lbkd", "about": about} in rows


def test_list_long_says_the_same_of_our_own(lbkd: Callable[..., Any]) -> None:
    assert lbkd("list", "--long", "--json").json == lbkd("list", "--json").json


def test_a_broken_plugin_is_one_row(
    lbkd: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site" / "bad_plugin-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[lbkd.weighting]\nbad = no_such_module:Bad\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder.parent)])
    rows = {row["name"]: row for row in lbkd("list", "weighting", "--long", "--json").json}
    assert rows["bad"]["package"] == "bad-plugin 1.0"
    assert "cannot be used" in rows["bad"]["about"]
    assert rows["fixed"]["package"] == "lbkd"
    assert lbkd("info", "--json").json["plugins"] == ["weighting/bad (bad-plugin 1.0)"]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, registry in REGISTRIES.items() for name in registry.names()]
)
def test_show(lbkd: Callable[..., Any], kind: str, name: str) -> None:
    shown = lbkd("show", kind, name)
    data = lbkd("show", kind, name, "--json").json
    assert (data["name"], data["kind"], data["package"]) == (name, kind, "lbkd")
    assert data["about"]
    assert shown.out.startswith(f"{name} ({REGISTRIES[kind].kind}, from lbkd)")
    assert [option["name"] for option in data["options"]] == [o.name for o in REGISTRIES[kind].options(name)]
    for option in data["options"]:
        assert option["about"], "every option is explained in the docstring"
        assert f"{REGISTRIES[kind].section}.{name}.{option['name']}" in shown.out
    assert "Args:" not in shown.out


def test_show_types_and_defaults(lbkd: Callable[..., Any]) -> None:
    out = lbkd("show", "weighting", "fixed").out
    assert "weighting.fixed.weights  dict[str, float] | None  None " in out
    assert "task.branch-mrc.lang  str   (needed) " in lbkd("show", "tasks", "branch-mrc").out
    assert "translation.files.path  pathlib.Path  (needed) " in lbkd("show", "translation", "files").out


def test_info(lbkd: Callable[..., Any]) -> None:
    values = lbkd("info", "--json").json
    assert {"python", "lbkd", "torch", "deepspeed", "devices", "precision", "plugins"} < values.keys()
    lines = lbkd("info").out.splitlines()
    assert [line.split("  ")[0] for line in lines] == list(values)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["list", "weights"],
            ["'weights'", "did you mean 'weighting'?", "criterions, tasks, trackers, translation, weighting"],
        ),
        (["show", "tsk", "distill"], ["'tsk'", "did you mean 'tasks'?"]),
        (
            ["show", "tasks", "distil"],
            ["no task 'distil'", "did you mean 'distill'?", "mix-mrc", "lbkd list"],
        ),
    ],
)
def test_unknown_names(refused: Callable[..., str], arguments: list[str], parts: list[str]) -> None:
    message = refused(*arguments)
    assert all(part in message for part in parts), message
