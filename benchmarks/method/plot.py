"""The suite as a picture: mean and minimum retention of every recipe, seed by seed."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

HINT = "no plot: pip install -c constraints.txt -e '.[benchmarks]'"
SERIES = (("retention_mean", "mean over teachers", "o"), ("retention_min", "least teacher", "v"))


def plot(groups: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """Draws an SVG; says what to install where matplotlib is missing.

    Args:
        groups: The rows of each recipe, the best first.
        file: Where to.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        print(HINT)
        return
    with matplotlib.rc_context({"svg.hashsalt": "kivfm", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7, 1 + 0.4 * len(groups)), layout="constrained")
        axes = figure.add_subplot()
        names = list(groups)[::-1]
        for number, (key, label, marker) in enumerate(SERIES):
            for at, name in enumerate(names):
                values = [100 * row[key] for row in groups[name]]
                axes.scatter(values, [at] * len(values), s=14, color=f"C{number}", alpha=0.5)
                axes.scatter([fmean(values)], [at], s=60, color=f"C{number}", marker=marker,
                             label=label if not at else None)  # fmt: skip
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("retention on test pictures, %; small dots are seeds")
        axes.grid(axis="x", alpha=0.3)
        axes.legend(loc="best")
        figure.savefig(file, metadata={"Date": None})
