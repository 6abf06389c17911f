"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

# Seconds between plain lines.
EVERY = 10.0


class Watch(Protocol):
    """What long work reports to."""

    def start(self, total: int, done: int = 0) -> None:
        """The work begins: `total` steps in all, `done` of them before."""
        ...

    def step(self, info: dict[str, Any]) -> None:
        """Steps were made."""
        ...

    def message(self, text: str) -> None:
        """Something worth a line."""
        ...

    def close(self) -> None:
        """The work ended; more than one call does no harm."""
        ...


def make_progress() -> Watch:
    """The live one if someone is watching. All of it goes to stderr: stdout is for results."""
    return Live() if sys.stderr.isatty() else Lines()


def stages(watch: Watch) -> Callable[[str, int, int], None]:
    """Reports to a watch what work in stages says: which stage, how much is done, of how much."""
    current, before = "", 0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal current, before
        # A stage may come twice running: two sources of one task.
        if what != current or done < before:
            watch.start(total)
        current, before = what, done
        watch.step({"step": done, "what": what})

    return tell


def describe(info: dict[str, Any]) -> str:
    """A step in one line: speed, time waiting for data, loss, loss by teacher."""
    words = []
    if "images_per_second" in info:
        words.append(f"{info['images_per_second']:.1f} images/s")
    if "data_share" in info:
        words.append(f"waiting for data {100 * info['data_share']:.0f} %")
    if "loss" in info:
        words.append(f"loss {info['loss']:.4f}")
    words += [f"{name} {value:z.3f}" for name, value in info.get("losses", {}).items()]
    return ", ".join(words + ([str(info["what"])] if "what" in info else []))


def eta(seconds: float) -> str:
    """A remaining time, such as `1:02:03` or `4:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Lines:
    """A line when the work starts, every few seconds, and at the last step."""

    def __init__(self) -> None:
        self.total = self.before = 0
        self.began = self.said = time.monotonic()

    def start(self, total: int, done: int = 0) -> None:
        """The work begins."""
        self.total, self.before = total, done
        self.began = self.said = time.monotonic()

    def step(self, info: dict[str, Any]) -> None:
        """Steps were made."""
        done, now = int(info["step"]), time.monotonic()
        if now - self.said < EVERY and done < self.total:
            return
        self.said = now
        pace = (now - self.began) / max(done - self.before, 1)
        left = eta(pace * (self.total - done))
        self.message(f"{done}/{self.total}  ETA {left}  {describe(info)}")

    def message(self, text: str) -> None:
        """Something worth a line."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """The work ended."""


class Live:
    """A bar that stays at the bottom, and messages above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.bar = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("ETA"),
            Remaining(),
            TextColumn("{task.fields[info]}"),
            console=Console(stderr=True),
        )
        self.task = None

    def start(self, total: int, done: int = 0) -> None:
        """The work begins."""
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.task = self.bar.add_task("", total=total, completed=done, info="")
        self.bar.start()

    def step(self, info: dict[str, Any]) -> None:
        """Steps were made."""
        if self.task is not None:
            self.bar.update(self.task, completed=int(info["step"]), info=describe(info))

    def message(self, text: str) -> None:
        """Something worth a line."""
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """The work ended."""
        self.bar.stop()
