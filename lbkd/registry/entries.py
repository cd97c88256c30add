"""Entry points by which installed packages provide components, and their names."""

import re
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from lbkd.errors import ConfigError

_NAME = re.compile(r"\w[\w.+-]*")


def entries_of(group: str) -> dict[str, list[EntryPoint]]:
    """Name -> the entry points of that name in a group, of all packages."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in _installed(group, tuple(sys.path)):
        found.setdefault(entry.name, []).append(entry)
    return found


@cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of the packages on a search path, which a command asks for a hundred times."""
    return tuple(entry_points(group=group))


def claims(name: str, group: str) -> list[EntryPoint]:
    """The entry points of a group that a name reaches: `name` of any package, or `package:name`."""
    package, _, plain = name.rpartition(":")
    entries = entries_of(group).get(plain, [])
    return [entry for entry in entries if not package or qualified(entry) == _spelt(package, plain)]


def package(entry: EntryPoint) -> str:
    """Name and version of the package that an entry point belongs to."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def qualified(entry: EntryPoint) -> str:
    """`package:name`, which reaches an entry point whatever other packages have."""
    return _spelt(entry.dist.name if entry.dist else entry.module, entry.name)


def _spelt(package: str, name: str) -> str:
    """`package:name`, the package as indexes spell it: `Near_Gold` is `near-gold`."""
    return f"{re.sub(r'[-_.]+', '-', package).lower()}:{name}"


def check_name(name: str, kind: str) -> None:
    """Refuse a name that cannot be a part of folder names and of settings.

    Raises:
        ConfigError: other characters than letters, digits and - _ + . or one of the latter at the beginning.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a {kind}, which folders are named by: take letters, digits, - _ + and . "
            "only, and begin with a letter or a digit."
        )
