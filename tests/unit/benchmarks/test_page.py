"""The proof's page, from rows."""

from typing import Any

from benchmarks.method.page import markdown

MACHINE = {"processor": "P", "cores": 2, "load": 0.1, "torch": "2", "jobs": 1}


def row(recipe: str, tier: str, seed: int, student: float) -> dict[str, Any]:
    task = {
        "teacher": "a/one", "task": "detection", "teacher_score": 0.5, "student_score": student,
        "retention": student / 0.5, "teacher_blocks": [0.5, 0.5],
        "student_blocks": [student, student],
    }  # fmt: skip
    names = ("retention_mean", "retention_min", "gain_mean", "gain_min")
    figures = {**dict.fromkeys(names, student / 0.5), "imbalance": 0.0, "per_task": [task]}
    return {
        "recipe": recipe, "tier": tier, "seed": seed, "lr": 0.002, "weight_decay": 0.02,
        "steps": 9, "trainable": 1000, "train_seconds": 4, "seconds": 6, "commit": "abc",
        **figures, "unseen": figures if tier == "confirm" else None,
    }  # fmt: skip


def test_recipes_are_ranked_and_clear_differences_stand_out() -> None:
    rows = [
        row("mse", "screen", 0, 0.1),
        *(row("mse", "confirm", seed, 0.2) for seed in (0, 1)),
        *(row("kpu", "confirm", seed, 0.6) for seed in (0, 1)),
        *(row("unic", "confirm", seed, 0.6) for seed in (0, 1)),
    ]
    record = {"suite": "recipes", "command": "c", "machine": MACHINE, "hours": 0.1, "rows": rows}
    lines = markdown(record).splitlines()
    first = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
    assert first[1:4] == ["| kpu", "| unic", "| mse"]
    assert "| mse | **+0.800 (+0.800 to +0.800)**" in "\n".join(lines)
    assert "| unic | +0.000 (+0.000 to +0.000) |" in "\n".join(lines)
    beaten = next(line for line in lines if line.startswith("Better than the teacher"))
    assert "kpu a/one detection (0.600, 0.500)" in beaten and "mse" not in beaten
    assert any(line.startswith("| mse | 0.002 | 0.02 | default | 9 | 0.200") for line in lines)


def test_a_variant_with_other_teachers_is_listed_and_not_compared() -> None:
    fewer = row("kpu", "confirm", 0, 0.3) | {"variant": "1 purpose teachers"}
    fewer["per_task"] = [fewer["per_task"][0] | {"teacher": "b/one"}]
    rows = [row("kpu", "confirm", 0, 0.4) | {"variant": "kpu"}, fewer]
    record = {"suite": "ablation", "command": "c", "machine": MACHINE, "hours": 1, "rows": rows}
    main, compared, by_task = markdown(record).split("## ")
    for section, count in ((main, 1), (compared, 0), (by_task, 1)):
        assert section.count("| 1 purpose teachers |") == section.count("| kpu |") == count
    assert "| kpu | 0.800 |" in by_task
    assert "| 1 purpose teachers | - |" in by_task
