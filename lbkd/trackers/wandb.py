"""Weights & Biases."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from lbkd.errors import ConfigError
from lbkd.trackers import TrackedRun, Tracker, need

if TYPE_CHECKING:
    import wandb


_PATIENCE = 300
"""Seconds that an upload may take at the end of a run; W&B itself would wait for ever."""


class Wandb(Tracker):
    """Runs of Weights & Biases: settings as config, numbers as history.

    A run that goes on, and scores of a finished one, come into the run that is there, by its id; offline,
    each time has a folder of its own, which `wandb sync` puts together. Files lie in `wandb`, in the
    workspace; what could not be uploaded within five minutes of a run's end stays there.

    Args:
        project: that runs are listed under.
        entity: user or team; by default your own.
        mode: `online`, or `offline` for `wandb sync` later; by default `WANDB_MODE`, else online.
    """

    def __init__(
        self,
        project: str = "lbkd",
        entity: str | None = None,
        mode: Literal["online", "offline"] | None = None,
    ) -> None:
        self._project, self._entity = project, entity
        self._mode: str = mode or os.environ.get("WANDB_MODE", "online")
        self._run: wandb.Run

    def check(self) -> None:
        need("wandb", "wandb")
        if self._mode == "online":
            import wandb

            reason = "nobody is logged in"
            try:
                if wandb.login(prompt=False):
                    return
            except wandb.Error as error:
                reason = str(error)
            raise ConfigError(
                f"tracker.wandb: {reason}. Run `wandb login`, export WANDB_API_KEY, or write files alone: "
                "--set tracker.wandb.mode=offline"
            )

    def begin(self, run: TrackedRun) -> str:
        import wandb

        self._run = wandb.init(
            project=self._project,
            entity=self._entity,
            name=run.name,
            id=run.id,
            resume="allow" if run.id else None,
            config=dict(run.settings),
            dir=run.workspace,
            reinit="create_new",  # a run that is open, a user's own too, is another one
            mode="offline" if run.made_up else self._mode,  # type: ignore[arg-type]
            settings=wandb.Settings(
                silent=True, console="off", finish_timeout=_PATIENCE, finish_timeout_raises=True
            ),
        )
        return self._run.id

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def end(self, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)
