"""When a process is lost, the others end within seconds, and the error names the lost one.

Fabric watches the processes that it starts, but kills all without a message; and it does not watch
the process that started them. Processes that `torchrun` or SLURM start are watched by those.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from subprocess import Popen
from threading import Event, Thread
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

# Seconds between looks; until a loss that broke a connection is known; and until a process that
# waits for a lost one ends, if nothing has told it. A GPU's would wait for half an hour.
LOOK, KNOWN, GRACE = 0.5, 3.0, 5.0
# What gloo, NCCL and the store through which processes meet say when another one is gone.
BROKEN = (
    "connection closed by peer", "connection reset by peer", "broken pipe", "gloo", "nccl",
    "tcpstore",
)  # fmt: skip


class Watch(Thread):
    """Watches the processes that this one started, or the one that started it.

    Args:
        fabric: What starts them.
        hint: The command that goes on after a loss.
    """

    def __init__(self, fabric: Fabric, hint: str) -> None:
        super().__init__(daemon=True, name="watch")
        self.fabric, self.hint, self.left = fabric, hint, Event()
        self.children: list[Popen[Any]] = []
        self.parent: int | None = None
        self.launcher: Any = fabric.strategy.launcher
        environment = getattr(self.launcher, "cluster_environment", None)
        self.is_ours = isinstance(environment, LightningEnvironment)

    def __enter__(self) -> Watch:
        if self.is_ours and self.fabric.local_rank:
            self.parent = os.getppid()
            self.start()
        elif self.is_ours:
            begin: Callable[[], None] = self.launcher._call_children_scripts
            self.launcher._call_children_scripts = lambda: self._adopt(begin)
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()

    def _adopt(self, begin: Callable[[], None]) -> None:
        """Starts the others; they are watched here, and no longer by Fabric."""
        begin()
        self.children = [*self.launcher.procs]
        self.launcher.procs.clear()
        self.start()

    def run(self) -> None:
        """Ends this process if another one is lost, and this one waits for it all the same."""
        while not self.left.wait(LOOK):
            if (lost := self.lost()) and not self.left.wait(GRACE):
                print(f"error: {lost}\nhint: {self.hint}", file=sys.stderr, flush=True)
                self.kill()
                os._exit(1)

    def lost(self) -> str:
        """Which process is lost, as a sentence; empty if none is."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        for number, child in enumerate(self.children, rank + 2):
            if code := child.poll():
                how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                return f"process {number} of {world} was lost ({how}); so the others ended, too"
        if self.parent is not None and os.getppid() != self.parent:
            number = rank - self.fabric.local_rank + 1
            return f"process {number} of {world} was lost; so the others ended, too"
        return ""

    def explain(self, error: BaseException) -> str | None:
        """The loss behind an error; None if there is none, empty if another process reports it."""
        if self.fabric.world_size == 1 or not isinstance(error, RuntimeError | OSError):
            return None
        broken = any(word in str(error).lower() for word in BROKEN)
        until = time.monotonic() + KNOWN
        # A connection breaks a moment before the process behind it is gone.
        while not (lost := self.lost()) and time.monotonic() < until:
            time.sleep(LOOK / 5)
        if lost or not broken:
            return lost or None
        return "" if self.parent is not None else f"another process of this run was lost: {error}"

    def kill(self) -> None:
        """Ends the processes that this one started: they would wait for it forever."""
        for child in self.children:
            child.kill()
