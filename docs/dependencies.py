"""Licences of what lbkd needs, and known weaknesses of the versions it is developed with.

`licences` lists the packages that lbkd and its extras need, but for those of its development, each with the
licence that it states. `audit` asks the database OSV, by pip-audit, for weaknesses of the versions in
constraints.txt; it fails if there are some, and tells where the database cannot be asked.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
NOT_SHIPPED = {"bench", "dev"}
"""Extras that are for the development alone."""
SECONDS = 120


def needed() -> dict[str, Distribution]:
    """Name -> package, for what lbkd and its extras need and what these need in turn, as far as installed."""
    found: dict[str, Distribution] = {}
    extras = set(distribution("lbkd").metadata.get_all("Provides-Extra") or []) - NOT_SHIPPED
    open_, seen = [("lbkd", extra) for extra in ("", *extras)], set[tuple[str, str]]()
    while open_:
        name, extra = open_.pop()
        try:
            package = found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, package.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                key = re.sub("[-_.]+", "-", requirement.name).lower()
                more = {(key, each) for each in ("", *requirement.extras)} - seen
                seen |= more
                open_ += more
    del found["lbkd"]
    return found


def licence(package: Distribution) -> str:
    """What a package's metadata says of its licence, in a line."""
    about = package.metadata
    names = [text.rpartition(" :: ")[2] for text in about.get_all("Classifier") or [] if "License ::" in text]
    stated = about.get("License-Expression") or "; ".join(names) or about.get("License") or "not stated"
    return str(stated).strip().partition("\n")[0][:70]


def licences() -> Iterator[str]:
    """A line for each package: name, version, licence."""
    for name, package in sorted(needed().items()):
        yield f"{name:32} {package.version:20} {licence(package)}"


def audit() -> tuple[int, str]:
    """Exit code, 1 where a version has a known weakness, and what to print."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(CONSTRAINTS), "--no-deps"]
    command += ["--disable-pip", "--vulnerability-service", "osv", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return 0, f"pip-audit: no answer in {SECONDS} s; versions are not checked for weaknesses"
    if done.returncode == 0:
        return 0, "pip-audit: no known weakness"
    if re.search(r"^Found \d+ known vulnerabilit", done.stderr, re.MULTILINE):
        return 1, done.stdout + done.stderr
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return 0, f"pip-audit: no answer; versions are not checked for weaknesses ({reason[:150]})"


if __name__ == "__main__":
    if sys.argv[1:] == ["audit"]:
        code, text = audit()
        print(text)
        sys.exit(code)
    print(*licences(), sep="\n")
