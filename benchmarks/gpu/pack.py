"""Pack what `make gpu` needs into one folder: source, wheels, the encoder, XQuAD and MLQA's development set.

Wheels are packed for every Python that lbkd runs on, for Linux on x86-64. Torch, transformers and what these
bring along are the machine's own.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.common import LANGUAGES, ROOT
from benchmarks.gpu.encoder import packed_encoder
from benchmarks.gpu.unpack import MANIFEST, fits
from lbkd.corpus import squad

MOST = 60 * 2**20
"""Bytes of the folder."""
PYTHONS = ("3.11", "3.12", "3.13")
TOOLS = ("accelerate>=1.10,<2", "hypothesis>=6.100,<7", "pytest>=9,<10")
"""What the measurements and the tests need beside lbkd."""
OF_THE_MACHINE = {"torch", "numpy", "transformers", "tokenizers", "huggingface-hub", "pyyaml"}
"""Packages that are required, and not packed."""
UNUSED = {"ninja", "sentencepiece", "setuptools"}
"""Requirements that nothing of what is measured imports: of compilers, and of slow tokenizers."""
PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_12_x86_64",
)
BUILT = {"deepspeed": {"DS_BUILD_OPS": "0"}}
"""Packages that come as source alone -> variables of the environment while their wheel is built."""
DATA = ROOT.parent / "shared/data", ROOT / "data"
LAUNCHER = '''"""Measure on this machine's GPU: `python run.py`; see source/docs/gpu.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "source"))
from benchmarks.gpu.__main__ import main  # noqa: E402

main()
'''
MAKEFILE = "gpu:\n\tpython3 run.py $(ARGS)\n"


def main() -> None:
    """Write the folder, and tell its size by parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "gpu-pack", help="folder (%(default)s)")
    out: Path = parser.parse_args().out
    if out.exists() and not (out / MANIFEST).exists():
        raise SystemExit(f"{out} exists and is no packed folder: name another one.")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "run.py").write_text(LAUNCHER)
    (out / "Makefile").write_text(MAKEFILE)
    pack_source(out / "source")
    texts = pack_data(out / "data.zip")
    (out / "encoder.bin").write_bytes(packed_encoder(texts))
    requires, wheels = pack_wheels(out / "wheels")
    files = {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files_of(out)
    }
    about = {"commit": commit(), "requires": requires, "wheels": wheels, "files": files}
    (out / MANIFEST).write_text(json.dumps(about, indent=1) + "\n")
    sizes = {part.name: sum(f.stat().st_size for f in files_of(part)) for part in sorted(out.iterdir())}
    whole = sum(sizes.values())
    for name, size in [*sizes.items(), (str(out), whole)]:
        print(f"{size / 2**20:7.2f} MiB  {name}")
    if whole > MOST:
        raise SystemExit(f"{out} is larger than {MOST // 2**20} MiB.")


def files_of(place: Path) -> Iterator[Path]:
    """All files in a folder, in their order; the file itself where it is none."""
    yield from [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())


def commit() -> str:
    """The commit of the source, and whether files differ from it."""
    told = [["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]]
    head, changed = (
        subprocess.run(["git", *how], cwd=ROOT, capture_output=True, text=True).stdout.strip() for how in told
    )
    return (head or "unknown") + (", with changes" if changed else "")


def pack_source(place: Path) -> None:
    """Copy the files that git knows, but pictures."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.endswith((".png", ".webp")):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / name)


def pack_data(archive: Path) -> list[str]:
    """Write XQuAD and MLQA's development split in an archive; all their texts, each once.

    Raises:
        SystemExit: a file is missing.
    """
    names = [f"xquad/xquad.{code}.json" for code in LANGUAGES]
    names += [f"mlqa/dev/dev-context-{code}-question-{code}.json" for code in LANGUAGES]
    texts: set[str] = set()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name in names:
            found = next((folder / name for folder in DATA if (folder / name).exists()), None)
            if found is None:
                raise SystemExit(
                    f"{name} is neither in {DATA[0]} nor in {DATA[1]}: fetch it with `lbkd data download "
                    f"{name.partition('/')[0]}`."
                )
            packed.write(found, name)
            data = squad.read(found, found.stem[-2:])
            texts.update(data.passages, (question.text for question in data.questions))
    return sorted(texts)


def pack_wheels(place: Path) -> tuple[dict[str, str], dict[str, dict[str, object]]]:
    """Fetch or build the wheels.

    Returns:
        What lbkd and the tools require, name -> versions; each package's `version`, `files` and `requires`.
    """
    roots = [*(importlib.metadata.requires("lbkd") or ()), *TOOLS]
    required = {name: versions for name, versions in requirements(roots)}
    closure: dict[str, dict[str, str]] = {}
    todo = list(required)
    while todo:
        name = todo.pop()
        if name not in closure and name not in OF_THE_MACHINE:
            closure[name] = dict(requirements(importlib.metadata.requires(name) or ()))
            todo += closure[name]
    versions = {name: importlib.metadata.version(name) for name in closure}
    place.mkdir()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    for name in BUILT.keys() & closure:
        command = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place)]
        env = {**os.environ, **BUILT[name]}
        subprocess.run([*pip, *command, f"{name}=={versions[name]}"], check=True, env=env)
    exact = {name: f"{name}=={version}" for name, version in versions.items() if name not in BUILT}
    platforms = [part for name in PLATFORMS for part in ("--platform", name)]
    for python in PYTHONS:
        there = {package(wheel) for wheel in place.glob("*.whl") if fits(wheel.name, numbers(python))}
        lacking = [wanted for name, wanted in exact.items() if name not in there]
        command = ["download", "--no-deps", "--only-binary=:all:", "--implementation", "cp"]
        command += [*platforms, "--python-version", python, "--dest", str(place)]
        subprocess.run([*pip, *command, *lacking], check=True)
    files: dict[str, list[str]] = {}
    for wheel in sorted(place.glob("*.whl")):
        files.setdefault(package(wheel), []).append(wheel.name)
    wheels: dict[str, dict[str, object]] = {
        name: {"version": versions[name], "files": files[name], "requires": closure[name]}
        for name in sorted(closure)
    }
    return required, wheels


def package(wheel: Path) -> str:
    """Name of a wheel's package."""
    return canonicalize_name(wheel.name.split("-")[0])


def numbers(python: str) -> list[int]:
    """A version of Python as major and minor number."""
    return [int(part) for part in python.split(".")]


def requirements(lines: list[str] | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Name and versions of the requirements that hold here without extras, but for the unused ones."""
    for line in lines:
        found = Requirement(line)
        name = canonicalize_name(found.name)
        if name not in UNUSED and (found.marker is None or found.marker.evaluate({"extra": ""})):
            yield name, str(found.specifier)


if __name__ == "__main__":
    main()
