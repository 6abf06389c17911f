"""Weights & Biases. Its environment variables configure it: WANDB_PROJECT, WANDB_MODE, ..."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from kivfm_core.trackers.tracker import TrackedRun


class WeightsAndBiases:
    """A run of the project `kivfm`, or of WANDB_PROJECT."""

    def __init__(self, run: TrackedRun) -> None:
        wandb: Any = import_module("wandb")
        self.run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "kivfm"),
            name=run.path.name,
            id=run.id,
            resume="allow" if run.id else None,
            config=dict(run.config) if run.id is None else None,
            # A run that the caller has open stays open, and what is printed stays here.
            reinit="create_new",
            settings=wandb.Settings(console="off"),
        )
        self.id: str | None = self.run.id

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Hands the values over; another process sends them."""
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        """Waits until all is sent."""
        self.run.finish()
