"""Options of components as parts of folders' names."""

import re
from collections.abc import Mapping
from typing import Any

from lbkd.registry import Registry
from lbkd.workspace import fingerprint

_PLAIN = re.compile(r"[\w.+-]{1,20}")
"""Option values that can stand in a folder's name."""


def changed_options(registry: Registry[Any], name: str, given: Mapping[str, Any]) -> list[str]:
    """`option=value` for each option without its default value; long values by their fingerprint."""
    required = {o.name: given[o.name] for o in registry.options(name) if not o.default and o.name in given}
    options, defaults = registry.resolved(name, given), registry.resolved(name, required)
    changed = [key for key in sorted(options) if key in required or options[key] != defaults[key]]
    shown = {key: str(options[key]) for key in changed}
    return [in_a_name(key, text) for key, text in shown.items()]


def in_a_name(key: str, value: str) -> str:
    """`key=value` as a part of a folder's name; a long value by its fingerprint."""
    return f"{key}={value if _PLAIN.fullmatch(value) else fingerprint(value)[:8]}"
