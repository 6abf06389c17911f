"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from kivfm_core.errors import escaped
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.progress import Losses, Progress, Silent, describe
from kivfm_core.text import ASCII, BLOCKS, clock, sparkline

# Seconds between plain lines.
EVERY = 10.0


def make_progress(team: Team = ONE_PROCESS) -> Progress:
    """A live bar on a terminal, lines elsewhere; all on stderr, since stdout is for results.

    Args:
        team: Of several processes the first one reports.
    """
    if not team.is_first:
        return Silent()
    return Live() if sys.stderr.isatty() else Lines()


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
        left = clock(pace * (self.total - done))
        self.message(f"{done}/{self.total}  ETA {left}  {describe(info)}")

    def message(self, text: str) -> None:
        """Something worth a line."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """The work ended."""


class Live:
    """A bar that stays at the bottom, with each teacher's losses below, and messages above."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as Screen
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.progress import TimeRemainingColumn as Remaining
        from rich.table import Column

        console = Console(stderr=True)
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
            console=console,
            expand=True,
        )
        self.task, self.losses = None, Losses()
        self.screen = Screen(console=console, get_renderable=self._draw)

    def _draw(self) -> Any:
        from rich.console import Group

        return Group(self.bar, _curves(self.losses)) if self.losses.traces else self.bar

    def start(self, total: int, done: int = 0) -> None:
        """The work begins."""
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.losses = Losses()
        self.task = self.bar.add_task("", total=total, completed=done, info="")
        self.screen.start()

    def step(self, info: dict[str, Any]) -> None:
        """Steps were made."""
        if self.task is not None:
            self.losses.add(info.get("losses", {}))
            text = describe({**info, "losses": {}})
            self.bar.update(self.task, completed=int(info["step"]), info=text)

    def message(self, text: str) -> None:
        """Something worth a line."""
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """The work ended."""
        self.screen.stop()


def _curves(losses: Losses) -> Any:
    """A line a teacher: its name, its losses so far as a curve, and the last one."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column(no_wrap=True, ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for name, trace in losses.traces.items():
        # The name and the number stay whole; the curve takes the width that is left.
        table.add_row(Text(escaped(name)), _Curve(trace.values), f"{losses.last[name]:z.3f}")
    return table


class _Curve:
    """A sparkline as wide as its place, and at most `WIDEST`."""

    WIDEST = 80

    def __init__(self, values: Sequence[float]) -> None:
        self.values = values

    def __rich_console__(self, console: Any, options: Any) -> Any:
        marks = ASCII if options.ascii_only else BLOCKS
        yield sparkline(self.values, min(options.max_width, self.WIDEST), marks)

    def __rich_measure__(self, console: Any, options: Any) -> Any:
        from rich.measure import Measurement

        return Measurement(1, min(options.max_width, self.WIDEST))
