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


def test_broken_plugins_are_marked(
    lbkd: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the list and in info, with the reason; the others work, and are described."""
    folder = tmp_path / "site" / "bad_plugin-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[lbkd.weighting]\nbad = no_such_module:Bad\nwell = well_module:Well\n"
    )
    (folder.parent / "well_module.py").write_text(
        "from lbkd import Weighting\nclass Well(Weighting):\n"
        '    """All is well."""\n    def weights(self, logits, context): ...\n'
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder.parent)])
    reason = "cannot be used: ModuleNotFoundError: No module named 'no_such_module'"
    rows = {row["name"]: row for row in lbkd("list", "weighting", "--json").json}
    assert (rows["bad"]["package"], rows["bad"]["about"]) == ("bad-plugin 1.0", reason)
    assert (rows["well"]["package"], rows["well"]["about"]) == ("bad-plugin 1.0", "All is well.")
    assert rows["fixed"]["package"] == "lbkd"
    plugins = lbkd("info", "--json").json["plugins"]
    assert plugins == [f"weighting/bad (bad-plugin 1.0): {reason}", "weighting/well (bad-plugin 1.0)"]
    monkeypatch.delitem(sys.modules, "well_module")


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


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("power, other=3", [("power", "any", ""), ("other", "any", "3")]),
        ("*args, power: float = 1.0, **kwargs", [("power", "float", "1.0")]),
        ("*args, **kwargs", []),
    ],
)
def test_show_what_has_no_type(
    lbkd: Callable[..., Any],
    wrote: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    options: list[tuple[str, str, str]],
) -> None:
    monkeypatch.setattr(weighting.registry, "_scripted", {})
    monkeypatch.delitem(sys.modules, "lbkd_plugin_loose", raising=False)
    file = wrote(
        "loose.py",
        "from lbkd import Weighting, weighting_registry\n"
        "@weighting_registry.register('loose')\nclass Loose(Weighting):\n"
        f"    def __init__(self, {arguments}): pass\n    def weights(self, logits, context): ...\n",
    )
    shown = lbkd("show", "weighting", "loose", "--plugin", file)
    assert "_empty" not in shown.out
    found = lbkd("show", "weighting", "loose", "--plugin", file, "--json").json["options"]
    assert [(o["name"], o["type"], o["default"]) for o in found] == options
    given = {name: 1 for name, _, default in options if not default}
    assert type(weighting.registry.create("loose", given)).__name__ == "Loose"
    monkeypatch.delitem(sys.modules, "lbkd_plugin_loose")


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
        (
            ["show", "criterion", "nl"],
            ["no criterion 'nl'", "did you mean 'nll'?", "combined, hidden, jsd"],
        ),
        (
            ["show", "criterion"],
            ["no name of a criterion; choices: combined, hidden, jsd, kd, logit-mse, "],
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
