"""The pytest plugin: lists what the conformance kit did not check. Torch-free."""

from __future__ import annotations

from typing import Any

MARK = "Skipped: not checked: "


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Lists what was not checked, and why, whatever flags pytest was given."""
    skipped = terminalreporter.stats.get("skipped", [])
    # A skip's report is (file, line, reason).
    told = [(r.nodeid, r.longrepr[2]) for r in skipped if isinstance(r.longrepr, tuple)]
    lines = [f"{node}: {text.removeprefix(MARK)}" for node, text in told if text.startswith(MARK)]
    if lines:
        terminalreporter.section("not checked of teachers")
        for line in lines:
            terminalreporter.write_line(line)
