"""The real benchmark's recipes: equal sizes, what a row says, and what is not run again."""

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import jobs as jobs_module
from benchmarks.jobs import run_once
from benchmarks.method.budget import WITHIN, Size, trainable
from benchmarks.real.beside import make_row, markdown
from benchmarks.real.recipes import NAMES, SETS, SIZE, plan_jobs
from benchmarks.real.split import COPIES, CROWDED, split
from kivfm_core.evaluate import BaseRow, Evaluation, Row, Summary

BASE = NAMES.split(",")[0]
MACHINE = {"processor": "P", "gpu": None, "cores": 2, "load": 0.1, "torch": "2", "jobs": 1}


def assets(root: Path) -> Path:
    """Folders as the assets have them, with six photos."""
    for name in ("photos", "imagenet_photos", *CROWDED):
        (root / "data" / name).mkdir(parents=True)
        (root / "data" / name / f"{name[:2]}.jpg").touch()
    (root / "data/imagenet_photos/im.jpg").unlink()
    labels = {f"{index}.jpg": index for index in range(3)}
    for name in labels:
        (root / "data/imagenet_photos" / name).touch()
    (root / "data/imagenet_photos/labels.json").write_text(json.dumps(labels))
    return root


def measured(teacher: str, task: str, data: str, student: float, untrained: float = 0.0) -> Row:
    return Row(
        teacher=teacher, task=task, metric="m", data=data, pictures=4, teacher_score=0.5,
        base_score=None, untrained_score=untrained, student_score=student, base=teacher == BASE,
        retention=student / 0.5, gain=(student - untrained) / (0.5 - untrained),
    )  # fmt: skip


def record(recipe: str, detection: float) -> dict:
    evaluation = Evaluation(
        data=(),
        rows=(
            measured(BASE, "classification", "d/held-out", 0.45),
            measured("yolox/nano", "detection", "d/one", detection),
            measured("yolox/nano", "detection", "d/two", detection + 0.1),
            measured("deeplab/mnv2-voc", "semantic-segmentation", "d/one", 0.4, 0.1),
            measured("torchvision/squeezenet1_0", "classification", "d/held-out", 0.5),
        ),
        base=(BaseRow(metric="k-NN top-1", data="c", pictures=9, base_score=0.7,
                      student_score=0.6),),
        summary=Summary(),
    )  # fmt: skip
    return {
        "commands": [["distill", "--recipe", recipe, "--seed", "3", "--steps", "7"], ["evaluate"]],
        "commit": "abc", "machine": "no GPU, P", "trainable": 1000, "train_seconds": 4,
        "seconds": 6,
        "evaluation": evaluation.model_dump(mode="json", by_alias=True),
    }  # fmt: skip


def test_a_teachers_retention_is_the_mean_over_its_data_and_the_base_stays_out() -> None:
    row = make_row(record("kpu", 0.1))
    assert (row["recipe"], row["seed"], row["steps"]) == ("kpu", 3, 7)
    assert row["retention_min"] == pytest.approx(0.3)  # of 0.2 and 0.4
    assert row["retention_mean"] == pytest.approx((0.3 + 0.8 + 1.0) / 3)
    assert row["dense_mean"] == pytest.approx((0.3 + 0.8) / 2)
    assert row["gain_mean"] == pytest.approx((0.3 + 0.75 + 1.0) / 3)
    assert (row["base_kept"], row["knn_base"], row["knn_student"]) == (0.9, 0.7, 0.6)
    assert [task["data"] for task in row["per_task"]] == ["one", "two", "one", "held-out"]


def test_the_page_has_the_best_recipe_first_and_every_task() -> None:
    rows = [make_row(record("mse", 0.1)), make_row(record("kpu", 0.2))]
    page = markdown({"command": "c", "machine": MACHINE, "steps": 7, "rows": rows})
    lines = [line for line in page.splitlines() if line.startswith(("| kpu", "| mse"))]
    assert [line.split(" | ")[0] for line in lines] == ["| kpu", "| mse"] * 2
    assert lines[2] == "| kpu | 0.400 | 0.600 | 0.800 | 1.000 |"
    assert "yolox/nano detection two" in page
    assert "kivfm distill --recipe mse --seed 3 --steps 7" in page


def test_every_recipe_gets_as_many_parameters_whatever_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    args = argparse.Namespace(
        assets=assets(tmp_path / "assets"), recipes=["kpu", "phi-s", "sak", "dune"], seeds=2,
        steps=5, limit=None, set=["student.latent=128"],
    )  # fmt: skip
    planned = plan_jobs(args)
    assert len(planned) == 8
    sets = (*SETS, *args.set)
    budget = trainable("kpu", SIZE, NAMES, sets)
    assert budget < trainable("kpu", SIZE, NAMES, SETS)
    for distill, _ in planned.values():
        said = dict(word.split("=") for word in distill if word.startswith("student."))
        size = Size(int(said["student.width"]), int(said["student.hidden"]))
        recipe = distill[distill.index("--recipe") + 1]
        assert abs(trainable(recipe, size, NAMES, sets) - budget) <= WITHIN * budget
        assert said["student.latent"] == "128"


def test_a_job_runs_once_and_again_if_its_commands_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def call(words: list[str], log: Path) -> float:
        ran.append(words[0])
        run.mkdir(exist_ok=True)
        (run / "evaluation.json").write_text("{}")
        return 1.0

    run = tmp_path / "runs" / "kpu-seed0"
    monkeypatch.setattr(jobs_module, "loop_seconds", lambda _: 1)
    engine = argparse.Namespace(accelerator="cpu", precision="32-true")
    made = argparse.Namespace(
        composition=argparse.Namespace(trainable=9), config=argparse.Namespace(engine=engine)
    )
    monkeypatch.setattr(jobs_module, "open_run", lambda _: made)
    commands = [["distill", "--steps", "5"], ["evaluate"]]
    first = run_once(run, commands, call)
    assert run_once(run, commands, call) == first
    assert ran == ["distill", "evaluate"]
    run_once(run, [["distill", "--steps", "6"], ["evaluate"]], call)
    assert ran == ["distill", "evaluate"] * 2


def test_assets_that_moved_are_linked_anew(tmp_path: Path) -> None:
    for name in ("old", "new"):
        pool, held_out = split(assets(tmp_path / name) / "data", tmp_path / "split")
    linked = list(tmp_path.joinpath("split").rglob("*.jpg"))
    assert len(linked) == 4 + COPIES * len(CROWDED) and pool.is_dir() and held_out.is_dir()
    assert all((tmp_path / "new") in path.readlink().parents for path in linked)
