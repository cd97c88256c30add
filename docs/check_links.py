"""Checks that what the documentation points to exists; run by `make lint`.

Checked are relative links with their anchors, and in backticks: paths of the repository, tests such as
`tests/test_links.py::test_faults`, and names of Python objects such as `lbkd.weighting.Weighting`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *ROOT.glob("docs/*.md"),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"(?<![\w./-])(?:lbkd|cli|tests|docs|benchmarks|examples|recipes)/[\w./-]*\w/?")
PLACEHOLDER = re.compile(r"[A-Z]{3}")
FILE = re.compile(r"(?<![\w./-])[a-z_]+/[a-z_/]+\.py")
TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
NAME = re.compile(r"\blbkd(?:\.[A-Za-z_]\w*)+")


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def defined(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """(name, statement) of what a module or a class defines or imports."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((item.asname or item.name, node) for item in node.names)
        elif isinstance(node, ast.If):  # imports for type checkers
            yield from defined(node.body)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, node) for target in targets if isinstance(target, ast.Name))


def is_object(name: str) -> bool:
    """True if a dotted name is a module, or something that a module or class defines."""
    folder, parts = ROOT, name.split(".")
    while parts and (folder / parts[0]).is_dir():
        folder /= parts.pop(0)
    file = folder / f"{parts[0]}.py" if parts else folder
    module = file if file.is_file() else folder / "__init__.py"
    rest = parts[1:] if file.is_file() else parts
    body = ast.parse(module.read_text(encoding="utf-8")).body
    for part in rest:
        found = dict(defined(body)).get(part)
        if found is None:
            return False
        body = found.body if isinstance(found, ast.ClassDef) else []
    return True


def is_test(file: Path, name: str) -> bool:
    """True if a file of tests has a test of that name."""
    return file.is_file() and name in dict(defined(ast.parse(file.read_text(encoding="utf-8")).body))


def faults(page: Path) -> Iterator[str]:
    """What a page points to in vain."""
    text = page.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if ":" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            yield link
    for code in CODE.findall(text):
        paths = [path for path in PATH.findall(code) if not PLACEHOLDER.search(path)]
        yield from (path for path in paths if not (ROOT / path).exists())
        yield from (f for f in FILE.findall(code) if not any((d / f).exists() for d in (ROOT, ROOT / "lbkd")))
        yield from (f"{file}::{test}" for file, test in TEST.findall(code) if not is_test(ROOT / file, test))
        yield from (
            name
            for name in NAME.findall(code)
            if name not in ("lbkd.toml", "lbkd.json") and not is_object(name)
        )


if __name__ == "__main__":
    found = [f"{page.relative_to(ROOT)}: {fault}" for page in PAGES for fault in faults(page)]
    sys.exit("\n".join(["These do not exist:", *found]) if found else 0)
