"""Cross-lingual reading comprehension by language branch knowledge distillation.

The names below are what other packages may rely on; `docs/api.md` shows each. A name is imported at its first
use, so that `import lbkd` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbkd.api.calls import ExportedModel, Score, TrainedModel, distill, evaluate, export, run, train
    from lbkd.criterions import Criterion
    from lbkd.criterions import registry as criterion_registry
    from lbkd.inference import Answerer
    from lbkd.settings import load_settings
    from lbkd.tasks import Task
    from lbkd.tasks import registry as task_registry
    from lbkd.trackers import TrackedRun, Tracker
    from lbkd.trackers import registry as tracker_registry
    from lbkd.translation import Translator
    from lbkd.translation import registry as translation_registry
    from lbkd.weighting import TeacherContext, Weighting
    from lbkd.weighting import registry as weighting_registry

__version__ = "0.2.0"

__all__ = [
    "Answerer",
    "Criterion",
    "ExportedModel",
    "Score",
    "Task",
    "TeacherContext",
    "TrackedRun",
    "Tracker",
    "TrainedModel",
    "Translator",
    "Weighting",
    "criterion_registry",
    "distill",
    "evaluate",
    "export",
    "load_settings",
    "run",
    "task_registry",
    "tracker_registry",
    "train",
    "translation_registry",
    "weighting_registry",
]

_HOMES = {
    "Answerer": "lbkd.inference",
    "Criterion": "lbkd.criterions",
    "ExportedModel": "lbkd.api.calls",
    "Score": "lbkd.api.calls",
    "Task": "lbkd.tasks",
    "TeacherContext": "lbkd.weighting",
    "TrackedRun": "lbkd.trackers",
    "Tracker": "lbkd.trackers",
    "TrainedModel": "lbkd.api.calls",
    "Translator": "lbkd.translation",
    "Weighting": "lbkd.weighting",
    "criterion_registry": "lbkd.criterions",
    "distill": "lbkd.api.calls",
    "evaluate": "lbkd.api.calls",
    "export": "lbkd.api.calls",
    "load_settings": "lbkd.settings",
    "run": "lbkd.api.calls",
    "task_registry": "lbkd.tasks",
    "tracker_registry": "lbkd.trackers",
    "train": "lbkd.api.calls",
    "translation_registry": "lbkd.translation",
    "weighting_registry": "lbkd.weighting",
}
"""Module of each public name."""


def __getattr__(name: str) -> Any:
    """The public name `name`, imported from its module at first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(_HOMES[name])
    return getattr(home, "registry" if name.endswith("_registry") else name)
