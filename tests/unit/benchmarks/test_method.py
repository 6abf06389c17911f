"""The proof's figures: what a row says, and when two recipes differ."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.method.compare import compare
from benchmarks.method.data import SuiteImages
from benchmarks.method.equal_parameters import WITHIN, Size, equal_size, trainable
from benchmarks.method.figures import over_teachers
from benchmarks.method.job_rows import make_row
from kivfm_core.evaluation.result import BaseRow, Evaluation, Row, Summary

SEEDS, BLOCKS, TEACHERS = 3, 8, ("a/one", "b/one")
RANDOM = np.random.default_rng(0)


def rows(scores: np.ndarray, teacher: np.ndarray) -> list[dict]:
    """Rows from a student's scores `[seeds, blocks, teachers]`, and the teachers'."""
    return [
        {
            "seed": seed,
            "per_task": [
                {
                    "teacher": name,
                    "task": "detection",
                    "student_blocks": scores[seed, :, at].tolist(),
                    "teacher_blocks": teacher[:, at].tolist(),
                }
                for at, name in enumerate(TEACHERS)
            ],
        }
        for seed in range(SEEDS)
    ]


def test_a_small_lead_on_every_picture_counts_though_pictures_differ_much() -> None:
    teacher = RANDOM.uniform(0.2, 1.0, (BLOCKS, 2))
    rival = 0.8 * np.broadcast_to(teacher, (SEEDS, BLOCKS, 2))
    found = compare(rows(rival + 0.02 * teacher, teacher), rows(rival, teacher), draws=200)
    for figure in ("retention_mean", "retention_min"):
        assert found[figure]["difference"] == pytest.approx(0.02)
        assert found[figure]["low"] == pytest.approx(0.02)
    assert found["imbalance"]["difference"] == pytest.approx(0.0)


def test_a_lead_of_one_seed_alone_does_not_count() -> None:
    teacher = np.ones((BLOCKS, 2))
    rival = np.full((SEEDS, BLOCKS, 2), 0.8)
    ours = rival + np.array([0.1, -0.02, -0.02])[:, None, None]
    found = compare(rows(ours, teacher), rows(rival, teacher), draws=500)["retention_mean"]
    assert found["difference"] == pytest.approx(0.02)
    assert found["low"] < 0 < found["high"]


def test_a_lead_on_few_pictures_does_not_count() -> None:
    teacher = np.ones((BLOCKS, 2))
    rival = np.full((SEEDS, BLOCKS, 2), 0.8)
    ours = rival.copy()
    ours[:, 0] += 0.2
    ours[:, 1:] -= 0.01
    found = compare(rows(ours, teacher), rows(rival, teacher), draws=500)["retention_mean"]
    assert found["low"] < 0 < found["high"]


def test_only_common_seeds_are_compared() -> None:
    teacher = np.ones((BLOCKS, 2))
    ours, rival = np.full((SEEDS, BLOCKS, 2), 0.9), np.full((SEEDS, BLOCKS, 2), 0.8)
    ours[2] = 0.0
    found = compare(rows(ours, teacher), rows(rival, teacher)[:2], draws=10)
    assert found["retention_min"]["difference"] == pytest.approx(0.1)
    assert compare(rows(ours, teacher), [], draws=10) == {}


def test_a_teacher_of_two_tasks_weighs_as_much_as_one_of_one() -> None:
    found = over_teachers(np.array([0.8, 0.6, 0.9]), ("a", "a", "b"))
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"mean": 0.8, "min": 0.7, "std": 0.1}
    )


def measured(data: str, teacher: float, student: float) -> Row:
    return Row(
        teacher="a/one", task="detection", metric="box AP", data=data, pictures=4,
        teacher_score=teacher, base_score=None, untrained_score=0.0, student_score=student,
    )  # fmt: skip


def test_a_row_pools_blocks_and_keeps_the_unseen_apart() -> None:
    images = SuiteImages(Path("p"), Path("v"), (Path("t0"), Path("t1")), Path("u"), Path("c"))
    base = BaseRow(metric="k-NN top-1", data="c", pictures=9, base_score=0.4, student_score=0.3)
    evaluation = Evaluation(
        data=("t0", "t1", "u"),
        rows=(measured("t0", 0.6, 0.6), measured("t1", 0.2, 0.0), measured("u", 0.5, 0.6)),
        base=(base,),
        summary=Summary(),
    )
    record = {
        "job": {"recipe": "kpu"}, "trainable": 7, "train_seconds": 1, "seconds": 2, "commit": "c",
        "evaluation": evaluation.model_dump(mode="json", by_alias=True),
    }  # fmt: skip
    row = make_row(record, images)
    assert (row["recipe"], row["trainable"], row["knn_student"]) == ("kpu", 7, 0.3)
    assert row["retention_mean"] == pytest.approx(0.3 / 0.4)  # of the means, not mean of ratios
    assert row["per_task"][0]["pictures"] == 8 and row["imbalance"] == 0.0
    assert row["unseen"]["retention_min"] == pytest.approx(1.2)


def test_every_recipe_gets_as_many_parameters() -> None:
    budget = trainable("mse", Size(128, 256))
    sizes = {recipe: equal_size(recipe, budget) for recipe in ("dune", "sak", "mse", "kpu")}
    assert sizes["mse"] == (128, 256)
    assert 200 < sizes["kpu"].hidden < 256  # a convolution costs little
    assert sizes["dune"].hidden < 256  # attention costs
    assert sizes["sak"].width > 128  # aligners that read one adapter do not
    for recipe, size in sizes.items():
        assert abs(trainable(recipe, size) - budget) <= WITHIN * budget
    with pytest.raises(ValueError, match="mse has no size"):
        equal_size("mse", 10 * budget)
