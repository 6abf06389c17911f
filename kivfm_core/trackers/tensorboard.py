"""TensorBoard: files in the run folder, which `tensorboard --logdir RUN` shows."""

from __future__ import annotations

from collections.abc import Mapping

from torch.utils.tensorboard.writer import SummaryWriter

from kivfm_core.run_files import TENSORBOARD
from kivfm_core.trackers.tracker import TrackedRun


class TensorBoard:
    """Writes to `RUN/tensorboard`."""

    id = None

    def __init__(self, run: TrackedRun) -> None:
        # Its files cannot be cut; it hides what lies beyond the first new step.
        self.board = SummaryWriter(str(run.path / TENSORBOARD), purge_step=run.first + 1)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Writes a point on each value's curve."""
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
        self.board.flush()

    def close(self) -> None:
        """Closes the file."""
        self.board.close()
