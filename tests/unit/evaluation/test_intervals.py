"""Intervals of scores: what they cover, what is paired, and where they are written and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import Oracle
from painter import FakeRun, FakeStudent, sees
from random_coco import random_case

from kivfm_cli.commands.evaluate import render
from kivfm_core.evaluation import bootstrap
from kivfm_core.evaluation.bootstrap import (
    DRAWS,
    differences,
    draw_images,
    draw_means,
    interval,
    redraw,
    resample,
    shares,
)  # fmt: skip
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.evaluation.result import Row, at_chance, summarize
from kivfm_core.predictions import ClassLogits
from kivfm_core.task import Chance, Meter
from kivfm_core.tasks.meters.coco_ap import AveragePrecision


class Mean(Meter):
    """The mean of a number an image."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, float)

    def resample(self, counts: Any) -> Any:
        return counts @ self.values / counts.sum(axis=1)


def test_draws_are_of_the_images_that_were_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "NUMBERS", 700)  # in several portions
    drawn = np.concatenate(list(draw_images([8, 2, 5], 9)))
    assert drawn.shape == (DRAWS, 9) and (drawn.sum(axis=1) == 3).all()
    assert np.flatnonzero(drawn.sum(axis=0)).tolist() == [2, 5, 8]
    assert drawn.mean(axis=0)[[2, 5, 8]] == pytest.approx(1, abs=0.1)
    again = np.concatenate(list(draw_images([2, 5, 8], 9)))
    assert (drawn == again).all()  # in whatever order they were seen


def test_an_interval_of_a_share_is_the_binomials() -> None:
    hits = np.zeros(400)
    hits[:300] = 1
    low, high = interval(draw_means(hits), 0.75) or (0, 0)
    error = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert (low, high) == pytest.approx((0.75 - error, 0.75 + error), abs=0.006)


def test_nineteen_of_twenty_intervals_cover_the_truth() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        hits = (rng.random(100) < 0.7).astype(float)
        low, high = interval(draw_means(hits), hits.mean()) or (1, 0)
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_models_are_paired() -> None:
    values = np.random.default_rng(0).random(50)
    one, other = resample([Mean(values), Mean(values / 2)], range(50), 50)
    assert interval(shares(other, one), 0.5) == pytest.approx((0.5, 0.5))
    low, high = interval(one, values.mean()) or (0, 0)
    assert high - low > 0.1
    assert interval(differences(one, one), 0.0) == (0, 0)


def test_what_is_not_known_has_no_interval() -> None:
    assert resample([Meter()], range(3), 3) == [None]
    assert interval(None, 0.5) is None and shares(None, np.ones(3)) is None
    draws = np.ones(DRAWS)
    draws[: DRAWS // 50] = np.nan  # two in a hundred have nothing to measure
    assert interval(draws, 1.0) == (1, 1)
    draws[: DRAWS // 10] = np.nan
    assert interval(draws, 1.0) is None
    assert shares(np.ones(2), np.array([0.0, -1])) == pytest.approx([np.nan] * 2, nan_ok=True)


def test_luck_in_the_images_is_luck() -> None:
    assert at_chance(0.6, Chance(0.5), (0.49, 0.7)) and not at_chance(0.6, Chance(0.5), (0.51, 0.7))
    # No luck finds an object.
    assert not at_chance(0.1, Chance(0.0), (0.0, 0.3)) and at_chance(0.0, Chance(0.0), (0.0, 0.0))
    assert at_chance(0.55, Chance(0.5, 0.05), (0.52, 0.6))  # of few images, all of them right


def half(levels: Any, prompt: Any) -> ClassLogits:
    """Right, unless the image is wide: two of each color's five are."""
    right = sees()(levels, prompt).logits
    shown = [frame.original[1] > frame.original[0] for frame in levels.frames]
    for i, wide in enumerate(shown):
        right[i] = right[i].roll(1) if wide else right[i]
    return ClassLogits(right)


class Partly(FakeRun):
    """Its student is wrong for wide images."""

    def load_student(self, untrained: bool = False) -> FakeStudent:
        student = FakeStudent(not untrained)
        stand_in = student.stand_in
        if not untrained:
            student.stand_in = lambda name: Oracle(stand_in(name).spec, half)  # type: ignore
        return student


@pytest.fixture
def written(colors: Path, tmp_path: Path) -> dict[str, Any]:
    evaluate(Partly(tmp_path), [str(colors)])
    return json.loads((tmp_path / "evaluation.json").read_text())


def test_every_score_has_an_interval(written: dict[str, Any]) -> None:
    assert (written["draws"], written["seed"]) == (1000, 0)
    for row in (*written["rows"], *written["base"]):
        for key in ("teacher", "untrained", "student", "bound", "base"):
            if f"{key}_interval" in row and f"{key}_score" in row:
                known = row[f"{key}_score"] is not None
                assert (row[f"{key}_interval"] is not None) == known, key
    (row,) = [row for row in written["rows"] if row["task"] == "classification"]
    low, high = row["student_interval"]
    assert 0.1 < low < row["student_score"] < high < 0.95
    # The teacher is always right, and the untrained student never.
    assert row["teacher_interval"] == [1, 1] and row["untrained_interval"] == [0, 0]
    assert row["retention_interval"] == row["gain_interval"] == row["student_interval"]
    summary = written["summary"]
    assert summary["retention_mean_interval"] == pytest.approx(row["student_interval"], abs=0.03)


def test_it_is_the_same_each_time(written: dict[str, Any], colors: Path, tmp_path: Path) -> None:
    again = evaluate(Partly(tmp_path), [str(colors)]).model_dump(mode="json", by_alias=True)
    for key in ("rows", "base", "summary"):
        assert again[key] == written[key]


@pytest.mark.parametrize("width", [None, 200, 80])
def test_the_table_has_them_where_there_is_room(
    written: dict[str, Any],
    width: int | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if width is not None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
    render(written)
    out = capsys.readouterr().out
    table = out.partition("preserved from the base")[0]
    assert ("±" in table) == (width != 80)
    assert ("drawing the images anew 1000 times" in table) == (width != 80)
    assert ("chance" in table and "0.333" in table) == (width != 80)
    assert "retention: mean 60.0 % (" in out


def row(teacher: str, kept: float, ends: tuple[float, float] | None, task: str = "a") -> Row:
    return Row(
        teacher=teacher, task=task, metric="m", data="d", pictures=9, retention=kept,
        retention_interval=ends,
    )  # fmt: skip


def test_a_summary_draws_every_row_on_its_own() -> None:
    one = summarize([row("a", 0.8, (0.7, 0.9))])
    assert one.retention_mean_interval == pytest.approx((0.7, 0.9), abs=0.01)
    four = summarize([row(name, 0.8, (0.7, 0.9)) for name in "abcd"])
    assert four.retention_mean_interval == pytest.approx((0.75, 0.85), abs=0.01)
    assert four.retention_min_interval == pytest.approx((0.72, 0.86), abs=0.02)
    # Two rows of one teacher weigh what one of another does.
    rows = [row("a", 0.8, (0.8, 0.8)), row("a", 0.6, (0.6, 0.6), "b"), row("b", 0.1, (0.0, 0.2))]
    summary = summarize(rows)
    assert summary.retention_mean == pytest.approx(0.4)
    assert summary.retention_mean_interval == pytest.approx((0.35, 0.45), abs=0.01)
    assert summarize([*rows, row("c", 0.5, None)]).retention_mean_interval is None
    assert summary.gain_mean is None and summary.gain_mean_interval is None


def test_rows_are_drawn_as_images_would_be() -> None:
    rng = np.random.default_rng(3)
    draws: Callable[[int], Any] = lambda seed: draw_means(rng.random(60) ** (seed + 1))  # noqa: E731
    drawn = [draws(seed) for seed in range(3)]
    means = [float(np.median(own)) for own in drawn]
    ends = [interval(own, mean) or (0, 0) for own, mean in zip(drawn, means, strict=True)]
    again = redraw(list(zip(means, ends, strict=True)))
    mixed = np.stack([np.random.default_rng(i).permutation(own) for i, own in enumerate(drawn)], 1)
    for reduce in (np.mean, np.min):
        value = float(reduce(means))
        expected = interval(reduce(mixed, axis=1), value)
        assert interval(reduce(again, axis=1), value) == pytest.approx(expected, abs=0.015)


def test_intervals_of_average_precision_cover_that_of_many_images() -> None:
    """Of sets of 50 images out of 300; draws that are not moved cover it in half of the sets."""
    case = replace(random_case(5, images=300, most=5, side=50), ids=range(1, 301))
    with pytest.MonkeyPatch.context() as patch:
        meters: list[AveragePrecision] = []
        patch.setattr(AveragePrecision, "notes", lambda self: meters.append(self))
        stats = AveragePrecision.stats
        patch.setattr(AveragePrecision, "stats", lambda self: (self.notes(), stats(self))[1])
        truth = case.of_kivfm("bbox")[0]
    rng, covered, raw = np.random.default_rng(0), 0, 0
    for _ in range(60):
        subset = rng.choice(case.seen, 50, replace=False)
        counts = np.zeros((201, 300))
        counts[0, subset] = 1
        for row in counts[1:]:
            np.add.at(row, rng.choice(subset, 50), 1)
        value, *draws = meters[0].resample(counts)
        low, high = interval(np.array(draws), value) or (1, 0)
        covered += low <= truth <= high
        low, high = np.quantile(draws, (0.025, 0.975))
        raw += low <= truth <= high
    assert covered / 60 >= 0.8 and raw < covered
