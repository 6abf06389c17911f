"""The suite as a figure: mean and minimum retention of every recipe, seed by seed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

HINT = "no plot: pip install -c constraints.txt -e '.[benchmarks]'"
SERIES = (("retention_mean", "mean over teachers", "o"), ("retention_min", "least teacher", "v"))


@contextmanager
def drawn(file: Path, size: tuple[float, float], columns: int = 1) -> Generator[list[Any]]:
    """A row of axes to draw on, saved as an SVG; none, and what to install, without matplotlib."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        print(HINT)
        yield []
        return
    with matplotlib.rc_context({"svg.hashsalt": "kivfm", "svg.fonttype": "none"}):
        figure = Figure(figsize=size, layout="constrained")
        yield [figure.add_subplot(1, columns, place + 1) for place in range(columns)]
        figure.savefig(file, metadata={"Date": None})


def plot(groups: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """Draws an SVG; names what to install if matplotlib is missing.

    Args:
        groups: The rows of each recipe, the best first.
        file: Where to.
    """
    names = list(groups)[::-1]
    with drawn(file, (7, 1 + 0.4 * len(groups))) as found:
        for axes in found:
            for number, (key, label, marker) in enumerate(SERIES):
                for at, name in enumerate(names):
                    values = [100 * row[key] for row in groups[name]]
                    axes.scatter(values, [at] * len(values), s=14, color=f"C{number}", alpha=0.5)
                    axes.scatter([fmean(values)], [at], s=60, color=f"C{number}", marker=marker,
                                 label=label if not at else None)  # fmt: skip
            axes.set_yticks(range(len(names)), names)
            axes.set_xlabel("retention on test images, %; small dots are seeds")
            axes.grid(axis="x", alpha=0.3)
            axes.legend(loc="best")
