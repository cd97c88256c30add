"""The packed folder, checked and laid out where there is torch and no network; standard library alone."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

MANIFEST = "MANIFEST.json"
ALIASES = {"lbkd_cli": "cli", "lbkd_examples": "examples", "lbkd_recipes": "recipes"}
"""Package -> its folder in the source, as in pyproject.toml."""


def read_manifest(pack: Path) -> dict[str, Any]:
    """What was packed; SystemExit where a file is missing or another than the packed one."""
    if not (pack / MANIFEST).exists():
        raise SystemExit(f"{pack} is no packed folder: `make gpu-pack` makes one where there is a network.")
    manifest: dict[str, Any] = json.loads((pack / MANIFEST).read_text(encoding="utf-8"))
    for name, digest in manifest["files"].items():
        path = pack / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{path} is missing or damaged: pack and copy the folder again.")
    return manifest


def lay_out(pack: Path, manifest: Mapping[str, Any], work: Path) -> dict[str, Any]:
    """Source, data and the lacking packages in `work`; what was taken and what is lacking still.

    Returns:
        `taken`, name -> version of the packages taken from the pack; `kept`, those that the machine has;
        `lacking`, requirements that neither fulfils.
    """
    shutil.rmtree(work / "site", ignore_errors=True)
    shutil.copytree(pack / "source", work / "source", dirs_exist_ok=True)
    with zipfile.ZipFile(pack / "data.zip") as archive:
        archive.extractall(work / "source" / "data")
    site = work / "site"
    site.mkdir(parents=True)
    for name, folder in ALIASES.items():
        (site / name).symlink_to((work / "source" / folder).resolve())
    found = chosen(manifest["wheels"], manifest["requires"], installed)
    taken: dict[str, str] = {}
    for name in found["take"]:
        wheel = manifest["wheels"][name]
        file = next((f for f in wheel["files"] if fits(f)), None)
        if file is None:
            found["lacking"].append(f"{name}=={wheel['version']}: no wheel for this Python")
            continue
        unpack_wheel(pack / "wheels" / file, site)
        taken[name] = wheel["version"]
    return {"taken": taken, "kept": found["keep"], "lacking": found["lacking"]}


def environment(work: Path) -> dict[str, str]:
    """Environment of a process that uses what was laid out."""
    paths = [str((work / part).resolve()) for part in ("site", "source")]
    before = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*paths, *([before] if before else [])]),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "NCCL_DEBUG": "WARN",
        "TOKENIZERS_PARALLELISM": "true",
    }


def installed(name: str) -> str | None:
    """Version of a package that this Python has."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def chosen(
    wheels: Mapping[str, Mapping[str, Any]], requires: Mapping[str, str], has: Any = installed
) -> dict[str, Any]:
    """Packages to take: those that lbkd, or one that is taken, requires and the machine's own do not fulfil.

    Args:
        wheels: packed package -> `version`, and `requires`, package -> versions that fit.
        requires: what lbkd and the measurements require, likewise.
        has: name of a package -> its version on the machine, or None.

    Returns:
        `take`, names; `keep`, name -> version; `lacking`, requirements of packages that are not packed.
    """
    take: list[str] = []
    keep: dict[str, str] = {}
    lacking: dict[str, str] = {}
    todo = list(requires.items())
    while todo:
        name, wanted = todo.pop(0)
        if name in take:
            continue
        version = has(name)
        if version is not None and satisfies(version, wanted):
            keep[name] = version
        elif name in wheels:
            keep.pop(name, None)
            take.append(name)
            todo += wheels[name]["requires"].items()
        else:
            lacking[name] = f"{name}{wanted}" + (f", has {version}" if version else "")
    return {"take": take, "keep": keep, "lacking": list(lacking.values())}


def satisfies(version: str, wanted: str) -> bool:
    """True if a version fulfils a list such as `>=2.8,<3`; what is no plain comparison counts as met."""
    for operator, bound in re.findall(r"(==|>=|<=|<|>|!=)\s*([0-9][0-9.]*)(?![\w.*])", wanted):
        a, b = _numbers(version), _numbers(bound)
        width = max(len(a), len(b))
        a, b = (numbers + (0,) * (width - len(numbers)) for numbers in (a, b))
        met = {"==": a == b, "!=": a != b, ">=": a >= b, "<=": a <= b, ">": a > b, "<": a < b}
        if not met[operator]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version as numbers: `2.11.0+cu130` is (2, 11, 0)."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def fits(file: str, python: Sequence[int] = sys.version_info[:2], machine: str = platform.machine()) -> bool:
    """True if a wheel is for this Python (major, minor) and this machine."""
    pythons, abi, place = file.removesuffix(".whl").split("-")[-3:]
    if place != "any" and machine not in place:
        return False
    major, minor = python
    for tag in pythons.split("."):
        own = re.fullmatch(r"(?:cp|py)(\d)(\d*)", tag)
        if own is None or int(own[1]) != major:
            continue
        if not own[2] or (int(own[2]) == minor if "abi3" not in abi else int(own[2]) <= minor):
            return True
    return False


def unpack_wheel(wheel: Path, site: Path) -> None:
    """Unpack a wheel's packages and metadata; its scripts stay behind."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            parts = member.split("/")
            if parts[0].endswith(".data"):
                if parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if member.endswith("/") or not _inside(parts):
                continue
            place = site.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(member))


def _inside(parts: Iterable[str]) -> bool:
    return all(part not in ("", ".", "..") for part in parts)
