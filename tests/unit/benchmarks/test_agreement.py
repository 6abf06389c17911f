"""Agreement beside retention: rows are paired by task, and correlated over runs."""

from __future__ import annotations

import pytest

from benchmarks.use.agreement import correlate, page, pair
from kivfm_core.evaluation.result import Row


def row(task: str, score: float, kept: float | None = None, agreement: bool = False) -> Row:
    metric = "agreement m" if agreement else "m"
    return Row(
        teacher="t", task=task, metric=metric, data="d", pictures=9, student_score=score,
        retention=kept, agreement=agreement,
    )  # fmt: skip


def test_rows_are_paired_by_task() -> None:
    found = pair([row("a", 0.4, 0.8), row("b", 0.2, 0.5)], [row("b", 0.6, agreement=True)])
    assert found == [
        {
            "task": "b",
            "metric": "agreement m",
            "agreement": 0.6,
            "retention": 0.5,
            "student_score": 0.2,
        }
    ]


def test_what_rises_together_is_correlated_and_seeds_are_apart() -> None:
    runs = [
        {
            "steps": steps,
            "seed": seed,
            # Both rise with the steps; between seeds one rises where the other falls.
            "rows": pair(
                [row("a", steps / 200 - seed / 100, 0.5)],
                [row("a", steps / 150 + seed / 100, agreement=True)],
            ),
        }
        for steps in (15, 45, 135)
        for seed in range(3)
    ]
    (found,) = correlate(runs)
    assert found["runs"] == 9 and found["pearson"] > 0.95 and found["spearman"] > 0.75
    low, high = found["pearson_interval"]
    assert low < found["pearson"] < high <= 1
    assert found["between_seeds"] == pytest.approx(-1, abs=1e-4)
    text = "\n".join(page({"runs": runs, "images": 40, "correlations": [found]}))
    assert "| a | m |" in text and "retention, 135 steps" in text and "-1.00" in text
