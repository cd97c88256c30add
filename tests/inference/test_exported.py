import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from lbkd.errors import DataError
from lbkd.features.tokens import Template
from lbkd.inference.exported import Exported, is_exported
from lbkd.models.calibration import Calibration, FittedOn
from lbkd.workspace import write_manifest

CALIBRATION = Calibration(
    temperature=2.0,
    temperatures={"es": 1.5},
    model="m",
    fitted_on=FittedOn(name="dev", corpus="c", questions={"es": 60}, metric="mlqa"),
)


def described(**more: object) -> Exported:
    template = Template((0,), (2, 2), (2,), passage_type=1, pad=1, has_types=True, languages={"en": 4})
    sizes = {"max_length": 384, "max_question_tokens": 64, "window_step": 128, "longest": 512}
    return Exported(name="student", precision="fp32", template=template, **sizes, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"network")
    Tokenizer(models.WordLevel({"a": 0}, "a")).save(str(tmp_path / "tokenizer.json"))
    described().write(tmp_path)
    return tmp_path


def test_what_is_written_is_read(folder: Path) -> None:
    assert is_exported(folder)
    assert Exported.read(folder) == described()
    told = described(languages=("en", "es"), scores=({"language": "en", "f1": 1.5},), calibration=CALIBRATION)
    told.write(folder)
    assert Exported.read(folder) == told


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "lbkd.json", "MANIFEST.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-3])])
def test_damaged_files(folder: Path, name: str, damage) -> None:
    damage(folder / name)
    with pytest.raises(DataError) as told:
        Exported.read(folder)
    assert f"{folder / name} is missing or damaged; export the model anew" in str(told.value)


@pytest.mark.parametrize("change", [{"format": 2}, {"precision": "fp4"}, {"max_length": 0}, {"new": 1}])
def test_a_description_of_another_version(folder: Path, change: dict[str, object]) -> None:
    content = json.loads((folder / "lbkd.json").read_text())
    (folder / "lbkd.json").write_text(json.dumps({**content, **change}))
    write_manifest(folder)
    with pytest.raises(DataError) as told:
        Exported.read(folder)
    assert f"{folder / 'lbkd.json'}: damaged, or not written by this version of lbkd; export" in str(
        told.value
    )


def test_other_folders_are_none(tmp_path: Path) -> None:
    assert not is_exported(tmp_path)
    assert not is_exported("some/hub-model")
