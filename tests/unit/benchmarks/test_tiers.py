"""How the suite of recipes chooses learning rates and weight decays."""

import argparse
from pathlib import Path

from benchmarks.method.__main__ import _tiers
from benchmarks.method.data import SuiteImages
from benchmarks.method.jobs import Job, Place

SHORT = {(0.004, 0.02): 0.3, (0.004, 0.1): 0.4, (0.008, 0.02): 0.9, (0.008, 0.1): 0.8}
"""Retention after few steps: the largest learning rate looks best."""
LONG = {
    ("kpu", 0.004, None): 0.7,
    ("kpu", 0.008, None): 0.8,
    ("mse", 0.004, None): 0.6,
    ("mse", 0.008, None): 0.4,
    ("kpu", 0.004, 1.0): 0.6,
    ("kpu", 0.008, 1.0): 0.7,
    ("mse", 0.004, 1.0): 0.7,
    ("mse", 0.008, 1.0): 0.5,
}
"""At full length only ours is better with it, and with global levels bounded."""


def test_every_learning_rate_is_tried_at_full_length_before_one_is_chosen(tmp_path: Path) -> None:
    args = argparse.Namespace(
        suite="recipes", recipes=["kpu", "mse"], lr=[0.004, 0.008], weight_decay=[0.02, 0.1],
        global_level_lr=[1.0], steps=80, screen_steps=10, limit=6, rivals=None, seeds=2,
    )  # fmt: skip
    empty = tmp_path / "none"
    place = Place(SuiteImages(empty, empty, (), empty, empty), tmp_path)
    rows: list[dict] = []
    tiers = _tiers(args, place, rows)

    def at(jobs: list[Job]) -> list[tuple[str, float, float, float | None]]:
        return [(job.recipe, job.lr, job.weight_decay, job.global_level_lr) for job in jobs]

    def measure(jobs: list[Job]) -> None:
        for job in jobs:
            score = (
                SHORT[job.lr, job.weight_decay]
                if job.steps == 10
                else LONG[job.recipe, job.lr, job.global_level_lr]
            )
            rows.append({**vars(job), "retention_mean": score})

    short = next(tiers)
    assert {*at(short)} == {(r, *rates, None) for r in ("kpu", "mse") for rates in SHORT}
    assert len(short) == 8
    assert {(job.steps, job.limit, job.tier) for job in short} == {(10, 6, "screen")}
    measure(short)

    long = next(tiers)
    assert {*at(long)} == {
        (r, *rates, bound)
        for r in ("kpu", "mse")
        for rates in ((0.004, 0.1), (0.008, 0.02))
        for bound in (None, 1.0)
    }
    assert {(job.steps, job.limit, job.tier) for job in long} == {(80, None, "screen")}
    measure(long)

    for seed, jobs in enumerate(tiers):
        assert at(jobs) == [("kpu", 0.008, 0.02, None), ("mse", 0.004, 0.1, 1.0)]
        assert {(job.steps, job.seed, job.tier) for job in jobs} == {(80, seed, "confirm")}
    assert seed == 1
