"""The model that a command asks."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import make_settings

if TYPE_CHECKING:
    from lbkd.inference import Answerer


def found(
    model: str, workspace: Path | None, trust_remote_code: bool
) -> "tuple[Path, Callable[..., Answerer]]":
    """The model's folder, and what loads it, with an answerer's options, on the GPU if there is one.

    For an exported one, neither settings nor torch are imported.

    Raises:
        ConfigError: there is no such model.
    """
    from lbkd.inference.exported import is_exported

    if is_exported(model):
        return Path(model), lambda **options: _answerer(model, **options)
    given = {"workspace": workspace, "model.trust_remote_code": trust_remote_code or None}
    settings = make_settings(given, None)
    from lbkd.models.run_folder import model_folder

    folder = model_folder(model, settings.workspace)

    def load(**options: Any) -> "Answerer":
        from torch.cuda import is_available

        device = "cuda" if is_available() else "cpu"
        return _answerer(folder, device, settings.model.trust_remote_code, **options)

    return folder, load


def _answerer(*arguments: Any, **options: Any) -> "Answerer":
    from lbkd.inference import Answerer

    return Answerer(*arguments, **options)
