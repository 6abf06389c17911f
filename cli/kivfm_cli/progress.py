"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from kivfm_core.progress import Progress

# Seconds between plain lines.
EVERY = 10.0


def make_progress() -> Progress:
    """A live bar on a terminal, lines elsewhere; all on stderr, since stdout is for results."""
    return Live() if sys.stderr.isatty() else Lines()


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
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.progress import TimeRemainingColumn as Remaining
        from rich.table import Column

        self.bar = Bar(
            BarColumn(bar_width=16, table_column=Column(min_width=16)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("ETA", table_column=Column(no_wrap=True)),
            Remaining(table_column=Column(no_wrap=True)),
            # What does not fit is cut off here, never the step or the ETA before it.
            TextColumn(
                "{task.fields[info]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            console=Console(stderr=True),
            expand=True,
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
