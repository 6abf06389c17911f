"""The trackers by name: one line each. Torch-free; a tracker names its module by reference.

A new tracker is a file with a class that follows `Tracker`, and a line here.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from pydantic import Field

from kivfm_core.errors import PluginError
from kivfm_core.spec import REFERENCE, Record


class TrackerKind(Record):
    """A tracker.

    Attributes:
        name: As in `--log NAME`.
        begin: Reference to `(TrackedRun) -> Tracker`.
        needs: The package that it imports.
        pip: What pip installs it with.
    """

    name: str
    begin: str = Field(pattern=REFERENCE)
    needs: str
    pip: str


TRACKERS: dict[str, TrackerKind] = {
    kind.name: kind
    for kind in (
        TrackerKind(
            name="tensorboard",
            begin="kivfm_core.trackers.tensorboard:TensorBoard",
            needs="tensorboard",
            pip="tensorboard",
        ),
        TrackerKind(
            name="wandb",
            begin="kivfm_core.trackers.wandb:WeightsAndBiases",
            needs="wandb",
            pip="kivfm[wandb]",
        ),
        TrackerKind(
            name="mlflow",
            begin="kivfm_core.trackers.mlflow:MLflow",
            needs="mlflow",
            pip="kivfm[mlflow]",
        ),
        TrackerKind(
            name="trackio",
            begin="kivfm_core.trackers.trackio:Trackio",
            needs="trackio",
            pip="kivfm[trackio]",
        ),
    )
}


def check_trackers(names: Sequence[str]) -> None:
    """Refuses trackers whose packages are not installed.

    Args:
        names: Keys of `TRACKERS`.

    Raises:
        PluginError: Naming the first, and how to install it.
    """
    for kind in map(TRACKERS.__getitem__, names):
        if find_spec(kind.needs) is None:
            raise PluginError(
                f"--log {kind.name} needs {kind.needs}, which is not installed",
                f"pip install '{kind.pip}'",
            )
