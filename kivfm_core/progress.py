"""How long work reports: distillation, building a cache, evaluation, drawing scenes. Torch-free."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Protocol

from kivfm_core.errors import escaped
from kivfm_core.text import clock, sparkline

# Called with (done, total) after each image.
Counter = Callable[[int, int], None]


class Progress(Protocol):
    """Receives reports; a terminal, a log, or nothing.

    Work comes in stages, one after another. Each begins with `start`; `message` may come any time.
    """

    def start(self, total: int, done: int = 0) -> None:
        """A stage begins.

        Args:
            total: Its steps in all.
            done: Those made before, by a run that is resumed.
        """
        ...

    def step(self, info: dict[str, Any]) -> None:
        """Steps were made.

        Args:
            info: `step`, the steps done; `what`, the stage's name, if it has one; and for
                training `loss`, `losses` by teacher, `lr`, `images_per_second`, and `data_share`,
                the share of time spent waiting for data.
        """
        ...

    def message(self, text: str) -> None:
        """Something worth a line."""
        ...

    def close(self) -> None:
        """The work ended; more than one call does no harm."""
        ...


class Silent:
    """Reports nothing."""

    def start(self, total: int, done: int = 0) -> None:
        """Ignored."""

    def step(self, info: dict[str, Any]) -> None:
        """Ignored."""

    def message(self, text: str) -> None:
        """Ignored."""

    def close(self) -> None:
        """Ignored."""


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


class Trace:
    """A curve that stays short, however long the work: when it is full, neighbors are merged."""

    FULL = 256

    def __init__(self) -> None:
        self.values = list[float]()
        self._each, self._open = 1, list[float]()

    def add(self, value: float) -> None:
        """The next value."""
        self._open.append(value)
        if len(self._open) < self._each:
            return
        self.values.append(sum(self._open) / len(self._open))
        self._open.clear()
        if len(self.values) == self.FULL:
            pairs = zip(self.values[::2], self.values[1::2], strict=True)
            self.values = [(one + other) / 2 for one, other in pairs]
            self._each *= 2


class Losses:
    """Each teacher's loss: its curve so far, and its last value.

    Attributes:
        traces: The curves, by teacher.
        last: The last values.
    """

    def __init__(self) -> None:
        self.traces, self.last = dict[str, Trace](), dict[str, float]()

    def add(self, losses: Mapping[str, float]) -> None:
        """The losses of a step."""
        for name, value in losses.items():
            self.traces.setdefault(name, Trace()).add(value)
            self.last[name] = value


class Notebook:
    """A bar in a notebook, with each teacher's losses below: one output, which changes in place.

    It is of HTML, so it needs no widgets, and stays in the notebook's file as it was at the end.
    """

    # Seconds between changes, and characters of a curve.
    EVERY, WIDTH = 0.2, 40

    def __init__(self) -> None:
        self.total = self.before = 0
        self.began = self.shown = 0.0
        self.losses, self.output = Losses(), None

    def start(self, total: int, done: int = 0) -> None:
        """A stage begins."""
        self.total, self.before, self.losses = total, done, Losses()
        self.began, self.shown = time.monotonic(), 0.0

    def step(self, info: dict[str, Any]) -> None:
        """Steps were made."""
        self.losses.add(info.get("losses", {}))
        now, done = time.monotonic(), int(info["step"])
        if now - self.shown < self.EVERY and done < self.total:
            return
        self.shown = now
        pace = (now - self.began) / max(done - self.before, 1)
        left = clock(pace * (self.total - done))
        self._show(done, f"{done}/{self.total}  ETA {left}  {describe({**info, 'losses': {}})}")

    def _show(self, done: int, line: str) -> None:
        name_width = max(map(len, self.losses.traces), default=0)
        curves = [
            f"{escaped(name):{name_width}}  {sparkline(trace.values, self.WIDTH):{self.WIDTH}}"
            f"  {self.losses.last[name]:z.3f}"
            for name, trace in self.losses.traces.items()
        ]
        line = escaped(line)
        page = f'<progress value="{done}" max="{self.total}"></progress> {escape(line)}'
        if curves:
            page += f"<pre>{escape(chr(10).join(curves))}</pre>"
        data = {"text/plain": "\n".join([line, *curves]), "text/html": page}
        if self.output is None:
            # Only notebooks have it, and it takes long.
            from IPython.display import display

            self.output = display(data, raw=True, display_id=True)
        else:
            self.output.update(data, raw=True)

    def message(self, text: str) -> None:
        """Something worth a line; on stdout, as notebooks show stderr in red."""
        print(escaped(text), flush=True)

    def close(self) -> None:
        """The work ended; what is shown stays."""


def reporter(progress: Progress | None) -> Progress:
    """Where work reports: as the caller says; by default in a notebook, and nowhere else."""
    if progress is not None:
        return progress
    return Notebook() if _in_notebook() else Silent()


def _in_notebook() -> bool:
    # Where a notebook runs, this is imported.
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


def stage(progress: Progress, what: str) -> Counter:
    """One stage of some work, reported by counting: it starts with the first count."""
    started = False

    def count(done: int, total: int) -> None:
        nonlocal started
        if not started:
            progress.start(total)
            started = True
        progress.step({"step": done, "what": what})

    return count
