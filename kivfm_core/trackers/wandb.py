"""Weights & Biases. Its environment variables configure it: WANDB_PROJECT, WANDB_MODE, ..."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from kivfm_core.errors import KivfmError
from kivfm_core.trackers.tracker import TrackedRun

# Without a login it asks for one on a terminal, and at the end of a run it waits for the network:
# both for as long as it takes. A run waits for so many seconds, if the user has not set others.
WAITS = {"WANDB_LOGIN_TIMEOUT": "60", "WANDB_FINISH_TIMEOUT": "300"}


class WeightsAndBiases:
    """A run of the project `kivfm`, or of WANDB_PROJECT.

    Raises:
        KivfmError: If nobody logs in.
    """

    def __init__(self, run: TrackedRun) -> None:
        for name, seconds in WAITS.items():
            os.environ.setdefault(name, seconds)
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
        if self.run.disabled and os.environ.get("WANDB_MODE") != "disabled":
            raise KivfmError("nobody has logged in", "wandb login; or WANDB_MODE=offline")
        self.id: str | None = self.run.id

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Hands the values over; another process sends them."""
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        """Waits until all is sent, or for as long as WANDB_FINISH_TIMEOUT says."""
        self.run.finish()
