"""Processes that share images find them once, and each takes its blocks."""

from __future__ import annotations

from threads import in_threads

from kivfm_core.processes.team import Team


def test_the_first_process_makes_what_all_get():
    made = list[int]()

    def find(rank: int) -> str:
        made.append(rank)
        return "found"

    assert in_threads(lambda team: team.once(lambda: find(team.rank)), 3) == ["found"] * 3
    assert made == [0] and Team().once(lambda: find(7)) == "found"
