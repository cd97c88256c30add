"""MLflow."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lbkd.errors import ConfigError
from lbkd.trackers import TrackedRun, Tracker, need

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # so that a server that is gone costs seconds, not five minutes
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's own settings, unless they are set."""
_PARAMETERS = 100
"""Parameters that MLflow takes in one call."""
_LONGEST = 6000
"""Characters of a parameter's value that MLflow keeps."""
_NO_NAME = re.compile(r"[^\w\-. :/]")
"""What names in MLflow cannot have."""


class MLflow(Tracker):
    """Runs of MLflow: settings as parameters, numbers as metrics.

    A run that goes on, and scores of a finished one, come into the run of MLflow that is there.

    Without a server, files are written to `mlruns` in the workspace, which newer versions of MLflow do only
    where `MLFLOW_ALLOW_FILE_STORE` is set: unless it is, it is set to `true`, and
    `MLFLOW_HTTP_REQUEST_MAX_RETRIES` to 2. Databases (`sqlite:///...`) need the package mlflow itself, of
    which the extra installs the part that trackers need.

    Args:
        uri: server, database or folder; by default `MLFLOW_TRACKING_URI`, else `mlruns` in the workspace.
        experiment: name that runs are listed under; made where it is missing.
    """

    def __init__(self, uri: str | None = None, experiment: str = "lbkd") -> None:
        self._uri, self._experiment = uri or os.environ.get("MLFLOW_TRACKING_URI"), experiment
        self._client: MlflowClient
        self._id = ""

    def check(self) -> None:
        need("mlflow", "mlflow")
        if self._uri is not None and "://" in self._uri and not _is_remote(self._uri):
            from mlflow.exceptions import MlflowException

            try:
                _client(self._uri)
            except (MlflowException, ImportError) as error:
                raise ConfigError(f"tracker.mlflow.uri = {self._uri!r}: {error}") from error

    def begin(self, run: TrackedRun) -> str:
        from mlflow.entities import Param
        from mlflow.exceptions import MlflowException

        place = str(Path(os.path.abspath(run.workspace)) / "mlruns")
        self._client = _client(place if run.made_up else self._uri or place)
        if run.id is not None:
            try:
                self._client.update_run(run.id, status="RUNNING")
                self._id = run.id
                return run.id
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        experiment = self._client.get_experiment_by_name(self._experiment)
        place = experiment.experiment_id if experiment else self._client.create_experiment(self._experiment)
        self._id = str(self._client.create_run(place, run_name=run.name).info.run_id)
        parameters = [
            Param(_NO_NAME.sub("_", name), str(value)[:_LONGEST]) for name, value in run.settings.items()
        ]
        for first in range(0, len(parameters), _PARAMETERS):
            self._client.log_batch(self._id, params=parameters[first : first + _PARAMETERS])
        return self._id

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [Metric(_NO_NAME.sub("_", name), value, now, step) for name, value in numbers.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def end(self, finished: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if finished else "FAILED")


def _is_remote(uri: str) -> bool:
    return urlsplit(uri).scheme in ("http", "https", "databricks", "databricks-uc")


def _client(uri: str) -> "MlflowClient":
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient(uri)
