"""MLflow, configured by its environment variables: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from kivfm_core.trackers.tracker import TrackedRun

# Most parameters in one request, and most characters of a value, that MLflow's servers take.
PARAMETERS, LENGTH = 100, 500
# What they refuse in a name. A slash, too: where metrics are files, `loss` cannot be a folder.
FOREIGN = re.compile(r"[^\w.-]+")


class MLflow:
    """A run of the experiment `kivfm`, or of MLFLOW_EXPERIMENT_NAME.

    It is made by a client of its own: a run that the caller has open is not touched.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.entities: Any = import_module("mlflow.entities")
        self.client: Any = import_module("mlflow").MlflowClient()
        self.id: str | None = run.id or self._begin(run)
        if run.id is not None:
            self.client.update_run(self.id, status="RUNNING")

    def _begin(self, run: TrackedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "kivfm")
        found = self.client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self.client.create_experiment(name)
        made: str = self.client.create_run(experiment, run_name=run.path.name).info.run_id
        settings = [
            self.entities.Param(FOREIGN.sub("_", key), str(value)[:LENGTH])
            for key, value in run.config.items()
        ]
        for start in range(0, len(settings), PARAMETERS):
            self.client.log_batch(made, params=settings[start : start + PARAMETERS])
        return made

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Sends the values."""
        now = int(time.time() * 1000)
        metrics = [
            self.entities.Metric(FOREIGN.sub("_", name), value, now, step)
            for name, value in values.items()
        ]
        self.client.log_batch(self.id, metrics=metrics)

    def close(self) -> None:
        """Ends the run; a resumed one goes on."""
        self.client.set_terminated(self.id)
