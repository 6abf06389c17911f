"""The measurements of a shared space: their arithmetic, and their pages."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.joint import added, parameters, search, words


def test_a_class_is_scored_by_its_pixels():
    shown = np.array([True, True, False, False])
    assert words._one(shown, np.array([4.0, 3.0, 2.0, 1.0], np.float32)) == (1.0, 1.0)
    precision, hit = words._one(shown, np.array([1.0, 3.0, 4.0, 2.0], np.float32))
    assert precision == pytest.approx((1 / 2 + 2 / 4) / 2) and hit == 0.0


def test_rows_say_how_far_the_student_is_ahead():
    student = np.array([[0.5, 1.0, 1.0], [1.0, 2.0, 2.0]])  # sums over the classes of two images
    other = np.array([[0.3, 0.0, 1.0], [0.6, 2.0, 2.0]])
    row = words._row("clip", other, student)["average precision"]
    assert (row["value"], row["student ahead"]) == (pytest.approx(0.3), pytest.approx(0.2))
    assert row["ahead interval"] == pytest.approx((0.2, 0.2))
    rows = [words._row("clip", other, student)]
    page = words.page({"runs": ["kpu-joint, 3 steps of 2 views"], "images": 2, "rows": rows})
    assert "| clip | 0.300 [0.300, 0.300] | 0.200 [0.200, 0.200] |" in "\n".join(page)


def test_a_shared_head_costs_less_the_more_teachers_there_are():
    recipes = len(parameters.RECIPES)
    rows = [parameters._row(count, recipe) for count in (2, 8) for recipe in parameters.RECIPES]
    for other in range(1, recipes):
        two, eight = (rows[i]["trainable"] - rows[i + other]["trainable"] for i in (0, recipes))
        assert eight > two
    assert rows[0]["sums"] == 0 < rows[1]["sums"] == rows[2]["sums"]
    assert all(r["trainable"] == r["adapter"] + r["head"] + r["aligners"] for r in rows)
    assert "kpu-joint" in "\n".join(parameters.page({"rows": rows}))


def test_what_a_student_keeps_is_a_mean_over_teachers_not_over_tasks():
    scores = [("a", 0.2), ("b", 0.6), ("b", 1.0), ("b", None), ("new", 0.5)]
    rows = [{"teacher": teacher, "retention": retention} for teacher, retention in scores]
    assert added.kept(rows, ["a", "b"]) == pytest.approx((0.2 + 0.8) / 2)
    assert added.kept(rows, ["new"]) == 0.5


def test_a_search_is_compared_with_chance():
    right = [np.array([True, False, False, True]), np.array([False, True, False, False])]
    by = {"the student": [np.array([4.0, 1.0, 2.0, 3.0]), np.array([4.0, 3.0, 2.0, 1.0])]}
    chance, student = search._rows("a name", by, right)
    assert chance["value"] == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert student["value"] == pytest.approx((1 + 1 / 2) / 2) and student["queries"] == 2
    page = search.page({"run": "r", "images": 4, "rows": [chance, student]})
    assert "| a name, 2 queries | the student | 0.750 [0.500, 1.000] |" in page
