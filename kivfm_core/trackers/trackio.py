"""Trackio. Its environment variables configure it; by default it writes to this machine."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from kivfm_core.trackers.tracker import TrackedRun


class Trackio:
    """A run of the project `kivfm`, with a unique name: Trackio knows runs by name only."""

    def __init__(self, run: TrackedRun) -> None:
        self.id: str | None = run.id or f"{run.path.name}-{secrets.token_hex(4)}"
        self.run: Any = import_module("trackio").init(
            project="kivfm",
            name=self.id,
            resume="allow" if run.id else "never",
            config=dict(run.config),
            embed=False,  # in a notebook it would show its page below the cell
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Hands the values over; a thread sends them."""
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        """Waits until all is sent."""
        self.run.finish()
