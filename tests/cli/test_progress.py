"""Progress: what a log and a terminal get to see."""

import re
import sys
from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from kivfm_cli import progress
from kivfm_cli.progress import Lines, Live, describe, make_progress
from kivfm_core.progress import stage
from kivfm_core.text import clock

INFO = {
    "step": 5,
    "loss": 0.51234,
    "losses": {"clip/nano": 0.4, "sam/nano": 0.6},
    "images_per_second": 41.27,
    "data_share": 0.031,
}


def test_a_line_says_all():
    assert describe(INFO) == (
        "41.3 images/s, waiting for data 3 %, loss 0.5123, clip/nano 0.400, sam/nano 0.600"
    )
    assert describe({"step": 1}) == ""
    assert describe({"losses": {"base": -1e-8}}) == "base 0.000"


@pytest.mark.parametrize(("seconds", "text"), [(4, "0:04"), (64.6, "1:05"), (3723, "1:02:03")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_lines_come_now_and_then_and_at_the_end(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = Lines()
    lines.message("hello")
    lines.start(total=40, done=20)
    for step in range(21, 41):
        now[0] += 1
        lines.step({**INFO, "step": step})
    lines.close()
    out, err = capsys.readouterr()
    assert out == ""
    first, ten, last = err.splitlines()
    assert first == "hello"
    assert ten.startswith("30/40  ETA 0:10  41.3 images/s")
    assert last.startswith("40/40  ETA 0:00")


def test_live_goes_to_stderr(capsys):
    live = Live()
    live.message("hello [world]")
    for total in (2, 3):
        live.start(total)
        live.step({"step": total})
    live.close()
    live.close()
    out, err = capsys.readouterr()
    assert out == "" and "hello [world]" in err


def test_which_one(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(make_progress(), Live)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert isinstance(make_progress(), Lines)


def test_stages(capsys):
    lines = Lines()
    for what, total in (("a", 2), ("b", 2), ("b", 3)):
        count = stage(lines, what)
        for done in range(1, total + 1):
            count(done, total)
    ends = ["2/2  ETA 0:00  a", "2/2  ETA 0:00  b", "3/3  ETA 0:00  b"]
    assert capsys.readouterr().err.splitlines() == ends


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_step_and_the_time_left_are_seen_on_a_narrow_terminal(columns: int, monkeypatch):
    screen = StringIO()
    console = Console(file=screen, width=columns, force_terminal=True, legacy_windows=False)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    live = Live()
    live.start(100000)
    live.step({**INFO, "step": 12345, "losses": {f"teacher{i}/large": 0.1 for i in range(9)}})
    live.bar.refresh()
    live.close()
    shown = Text.from_ansi(screen.getvalue()).plain
    line = next(line for line in reversed(shown.splitlines()) if "12345" in line)
    assert "12345/100000" in line and re.search(r"ETA\s+[-\d]+:[-\d]+:[-\d]+", line), line
    assert "41.3 images/s" in line or columns < 80, line
    assert len(line) <= columns


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_each_teachers_losses_are_a_curve(columns: int, monkeypatch):
    screen = StringIO()
    console = Console(file=screen, width=columns, force_terminal=True, legacy_windows=False)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    live = Live()
    live.start(1000)
    names = ("clip/nano", "timm/vit_tiny_patch16_224.augreg_in21k")
    for step in range(100):
        live.step({**INFO, "step": 10 * step, "losses": dict.fromkeys(names, 1 - step / 100)})
    live.close()
    shown = Text.from_ansi(screen.getvalue()).plain.splitlines()
    assert all(len(line) <= columns for line in shown)
    for name in ("clip/nano", "timm/vit_tiny_patch16_224.a"):
        line = next(line for line in reversed(shown) if line.startswith(name))
        curve = re.search(r"[▁▂▃▄▅▆▇█]{20,}", line)
        assert curve and curve[0][0] == "█" and curve[0][-1] == "▁", line
        assert line.rstrip().endswith("0.010"), line


def test_a_terminal_without_blocks_gets_ascii(monkeypatch):
    class Ascii(StringIO):
        encoding = "ascii"

    screen = Ascii()
    console = Console(file=screen, width=80, force_terminal=True, legacy_windows=False)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    live = Live()
    live.start(10)
    for step in range(10):
        live.step({**INFO, "step": step, "losses": {"a": 1.0 - step / 10}})
    live.close()
    line = next(text for text in screen.getvalue().splitlines() if text.startswith("a "))
    assert line.isascii() and "#*" in line
