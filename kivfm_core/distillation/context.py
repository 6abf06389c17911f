"""What every stage of a run needs: devices, folder, configuration, student plan, progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lightning_fabric import Fabric

from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.processes.launch import rank_logger
from kivfm_core.progress import Progress
from kivfm_core.runs.run import Run


@dataclass(frozen=True)
class RunContext:
    """What does not change from the first stage of a run to the last.

    Attributes:
        fabric: Devices and processes.
        run: The run folder, the same one in all processes.
        config: The run's configuration.
        composition: The student's plan.
        progress: Where to report; silent in all processes but the first.
    """

    fabric: Fabric
    run: Run
    config: RunConfig
    composition: Composition
    progress: Progress

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run folder's files."""
        return self.fabric.is_global_zero

    def log(self, text: str) -> None:
        """Reports what all processes know alike, once."""
        self.progress.message(text)

    @property
    def log_anywhere(self) -> Callable[[str], None]:
        """Reports what only this process knows, with its rank if it is not the first."""
        return rank_logger(self.fabric, self.log)

    def write_plan(self) -> None:
        """Writes configuration and composition into the run folder; the first process does."""
        if self.is_first:
            self.run.write_plan(self.config, self.composition)
