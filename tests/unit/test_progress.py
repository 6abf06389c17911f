"""Curves of losses, and what a notebook is shown."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from kivfm_core import progress
from kivfm_core.progress import Notebook, Silent, Trace, reporter
from kivfm_core.text import sparkline


def test_a_curve_goes_from_its_lowest_to_its_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20) == "▁▂▃▄▅▆▇█"
    assert sparkline([7, 7, 0, 0], 2) == "█▁"
    assert sparkline([1.0], 5) == sparkline([2.0, 2.0], 1) == "▁"
    assert sparkline([math.nan, 1, math.inf, 3], 9) == "▁█"
    assert sparkline([], 9) == sparkline([1.0], 0) == ""
    assert len(sparkline(range(1000), 33)) == 33


def test_a_long_run_keeps_a_short_curve() -> None:
    trace = Trace()
    for step in range(100_000):
        trace.add(float(step))
    assert Trace.FULL // 2 <= len(trace.values) < Trace.FULL
    assert trace.values == sorted(trace.values)
    assert trace.values[0] < 1000 and trace.values[-1] > 99_000


class Output:
    """What a notebook shows, by the calls of IPython."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def display(self, data: dict[str, str], **_: Any) -> Output:
        self.update(data)
        return self

    def update(self, data: dict[str, str], raw: bool = True) -> None:
        self.shown.append(data)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    found = Output()
    monkeypatch.setitem(sys.modules, "IPython.display", found)  # type: ignore[arg-type]
    return found


def test_a_notebook_shows_bar_time_left_and_losses(output: Output, monkeypatch: Any) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    notebook = Notebook()
    notebook.start(40)
    for step in range(1, 41):
        now[0] += 0.1
        notebook.step({"step": step, "loss": 0.5, "losses": {"a/<b>": 1.0 / step, "c": 0.5}})
    notebook.close()
    assert 10 < len(output.shown) < 25  # not each step
    half, last = output.shown[len(output.shown) // 2], output.shown[-1]
    assert "ETA 0:02" in half["text/plain"] and "loss 0.5000" in half["text/plain"]
    assert last["text/plain"].startswith("40/40  ETA 0:00")
    assert '<progress value="40" max="40">' in last["text/html"]
    assert "a/&lt;b&gt;" in last["text/html"] and "<b>" not in last["text/html"]
    assert "█" in last["text/html"] and "0.025" in last["text/html"]


def test_stages_share_an_output(output: Output) -> None:
    notebook = Notebook()
    for what in ("one", "two"):
        notebook.start(1)
        notebook.step({"step": 1, "what": what})
    assert [data["text/plain"] for data in output.shown] == [
        "1/1  ETA 0:00  one",
        "1/1  ETA 0:00  two",
    ]


def test_only_a_notebook_has_it_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Silent()
    assert reporter(given) is given
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert isinstance(reporter(None), Silent)
    shells = ((None, Silent), ({}, Silent), ({"IPKernelApp": {}}, Notebook))
    for config, kind in shells:
        shell = None if config is None else SimpleNamespace(config=config)
        module = SimpleNamespace(get_ipython=lambda shell=shell: shell)
        monkeypatch.setitem(sys.modules, "IPython", module)  # type: ignore[arg-type]
        assert isinstance(reporter(None), kind)
        assert reporter(given) is given
