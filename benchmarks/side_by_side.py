"""Two commands at once in a fresh workspace, as two users or two terminals start them.

In turns: teachers of two languages, which share corpus, encoder and token tables; and one teacher, twice. A
round is good if both commands end with exit code 0, the models are those of commands that run one after
another, to the last bit, no model was trained twice, and no lock or temporary folder is left. The script
fails where any round is bad.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Row, report
from benchmarks.common import options as arguments_of
from benchmarks.small_workspace import LANGUAGES, options, tiny_encoder
from lbkd.workspace import file_hash

ROUNDS = 20
PAIRS = {"two teachers": LANGUAGES, "one teacher twice": LANGUAGES[:1] * 2}


def command(language: str, encoder: Path, workspace: Path) -> list[str]:
    """Training of one language's teacher."""
    train = ["train", "--task", "branch-mrc", "--lang", language]
    return [sys.executable, "-m", "lbkd_cli", *train, *options(encoder, workspace)]


def run(commands: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Run commands at once; exit code and standard error of each."""
    processes = [
        subprocess.Popen(each, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for each in commands
    ]
    told = [process.communicate()[1] for process in processes]
    return [(process.returncode, err) for process, err in zip(processes, told, strict=True)]


def weights(workspace: Path) -> dict[str, str]:
    """Teacher's language -> hash of its weights."""
    found = workspace.glob("runs/branch-mrc.*/model/model.safetensors")
    return {path.parents[1].suffix.removeprefix("."): file_hash(path) for path in found}


def faults(languages: Sequence[str], encoder: Path, workspace: Path, expected: dict[str, str]) -> list[str]:
    """What went wrong in one round."""
    ends = run([command(language, encoder, workspace) for language in languages])
    found = [f"exit code {code}: {err}" for code, err in ends if code != 0]
    if weights(workspace) != {language: expected[language] for language in languages}:
        found.append("other models than one after another")
    trained = sum(f"branch-mrc.{language} 2/2" in err for language in set(languages) for _, err in ends)
    if trained != len(set(languages)):
        found.append(f"{trained} trainings of {len(set(languages))} models")
    found += [f"left behind: {path}" for path in workspace.rglob(".*")]
    return found


def main() -> None:
    """Start two commands at once, round after round."""
    arguments = arguments_of(__doc__, pairs=ROUNDS).parse_args()
    rounds = len(PAIRS) if arguments.quick else arguments.pairs
    wrong: dict[str, list[str]] = {name: [] for name in PAIRS}
    tried = dict.fromkeys(PAIRS, 0)
    with tempfile.TemporaryDirectory() as place:
        encoder, alone = tiny_encoder(Path(place) / "encoder"), Path(place) / "alone"
        for language in LANGUAGES:
            run([command(language, encoder, alone)])
        expected = weights(alone)
        assert expected.keys() == set(LANGUAGES)
        for n in range(rounds):
            name = list(PAIRS)[n % len(PAIRS)]
            tried[name] += 1
            if found := faults(PAIRS[name], encoder, Path(place) / str(n), expected):
                wrong[name].append(f"round {n}, {name}: {'; '.join(found)}")
    good = {name: tried[name] - len(wrong[name]) for name in PAIRS if tried[name]}
    rows = [
        Row(name, count, None, f"of {tried[name]}", [count / tried[name]], 1.0, form="{:.0%}")
        for name, count in good.items()
    ]
    report("side_by_side", rows, keep=arguments.out or not arguments.quick)
    if any(wrong.values()):
        raise SystemExit("\n".join(sum(wrong.values(), [])))


if __name__ == "__main__":
    main()
