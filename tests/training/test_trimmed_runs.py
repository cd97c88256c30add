"""A trimmed vocabulary is another tokenizer: nothing that depends on it is taken for what it was."""

import shutil
from pathlib import Path

from checkpointed import Notes
from ranks import settings

from lbkd.config import Settings
from lbkd.models.trimming.trimmed import trim_to
from lbkd.project import Project
from lbkd.training.run import Components
from lbkd.training.steps import train

QUICK = {"corpus.limit": 2, "training.max_steps": 1}
STUDENT = "distill.combined.impurity"


def smaller(model: Path, texts: tuple[str, ...], out: Path) -> Path:
    trim_to(str(model), texts, 100, out, Notes().progress)
    return out


def test_teachers_and_students_with_trimmed_vocabularies(
    tiny_model_folder: Path, builtin_texts: tuple[str, ...], tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    whole = settings(tiny_model_folder, workspace, **QUICK, overwrite=True)
    train(Project(whole), Components("distill"))
    runs, store = workspace / "runs", workspace / "logits" / "branch-mrc.es"
    student = smaller(tiny_model_folder, builtin_texts, tmp_path / "student")
    before = {path.name for path in (workspace / "tokens").iterdir()}
    former = [(store / name).read_bytes() for name in ("start.u12", "end.u12")]

    def learns_the_same(how: Settings, changed: str) -> None:
        """The teachers' logits are computed again, to the same end, and the student is trained again."""
        notes = Notes()
        train(Project(how, notes), Components("distill"))
        again = [note for note in notes.notes if "computed again" in note]
        assert again == [
            f"{workspace}/logits/branch-mrc.{language}: computed again, since {changed} changed"
            for language in ("en", "es")
        ]
        assert any(note.startswith(f"{STUDENT}: trained again, since ") for note in notes.notes)
        assert [(store / name).read_bytes() for name in ("start.u12", "end.u12")] == former

    # a trimmed student, whole teachers
    less = settings(student, workspace, **QUICK, overwrite=True)
    learns_the_same(less, "teacher's tokens, tokenizer")

    # both trimmed alike
    for name in ("branch-mrc.en", "branch-mrc.es"):
        teacher = smaller(runs / name, builtin_texts, tmp_path / name)
        shutil.rmtree(runs / name)
        shutil.copytree(teacher, runs / name)
    learns_the_same(less, "teacher weights, teacher's tokens")

    # a whole student, trimmed teachers
    learns_the_same(whole, "teacher's tokens, tokenizer")
    assert before < {path.name for path in (workspace / "tokens").iterdir()}
