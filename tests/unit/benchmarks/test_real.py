"""The real benchmark's recipes: equal sizes, blocks of images, and what a row says."""

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.method.equal_parameters import WITHIN, Size, trainable
from benchmarks.real.commands import FOUR_TASKS, MASKS, MEASURED, evaluating
from benchmarks.real.recipe_table import make_row, markdown
from benchmarks.real.recipes import NAMES, SETS, SIZE, plan_jobs
from benchmarks.real.split import BLOCKS, COPIES, CROWDED, LABELED, blocks, split
from kivfm_core.evaluation.result import BaseRow, Evaluation, Row, Summary

BASE = NAMES.split(",")[0]
MACHINE = {"processor": "P", "gpu": None, "cores": 2, "load": 0.1, "torch": "2", "jobs": 1}


def assets(root: Path) -> Path:
    """Folders as the assets have them, with six photos."""
    for name in ("photos", "imagenet_photos", "scenes_pool", *CROWDED):
        (root / "data" / name).mkdir(parents=True)
        (root / "data" / name / f"{name[:2]}.jpg").touch()
    (root / "data/imagenet_photos/im.jpg").unlink()
    labels = {f"{index}.jpg": index for index in range(3)}
    for name in labels:
        (root / "data/imagenet_photos" / name).touch()
    (root / "data/imagenet_photos/labels.json").write_text(json.dumps(labels))
    for name in LABELED:
        (root / "data" / name / "images").mkdir(parents=True)
        photos = [{"id": 10 + index, "file_name": f"{index}.jpg"} for index in range(2 * BLOCKS)]
        for photo in photos:
            (root / "data" / name / "images" / photo["file_name"]).touch()
        boxes = [{"image_id": photo["id"], "category_id": 1} for photo in photos] * 2
        found = {"images": photos, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
        (root / "data" / name / "instances.json").write_text(json.dumps(found))
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
            measured(BASE, "classification", "held-out/0", 0.45),
            measured("yolox/nano", "detection", "one/0", detection - 0.05),
            measured("yolox/nano", "detection", "one/1", detection + 0.05),
            *(measured("yolox/nano", "detection", f"two/{i}", detection + 0.1) for i in range(2)),
            *(measured("deeplab/mnv2-voc", "semantic-segmentation", f"one/{i}", 0.4, 0.1)
              for i in range(2)),
            *(measured("torchvision/squeezenet1_0", "classification", f"held-out/{i}", 0.5)
              for i in range(2)),
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
    assert row["per_task"][0]["student_blocks"] == pytest.approx([0.05, 0.15])


def test_the_page_has_the_best_recipe_first_and_every_task() -> None:
    rows = [make_row(record("mse", 0.1)), make_row(record("kpu", 0.2))]
    page = markdown({"command": "c", "machine": MACHINE, "steps": 7, "rows": rows})
    lines = [line for line in page.splitlines() if line.startswith(("| kpu", "| mse"))]
    assert [line.split(" | ")[0] for line in lines] == ["| kpu", "| mse", "| mse", "| kpu", "| mse"]
    assert lines[3] == "| kpu | 0.400 | 0.600 | 0.800 | 1.000 |"
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


def test_assets_that_moved_are_linked_anew(tmp_path: Path) -> None:
    for name in ("old", "new"):
        pool, held_out = split(assets(tmp_path / name) / "data", tmp_path / "split")
    linked = list(tmp_path.joinpath("split").rglob("*.jpg"))
    assert len(linked) == 4 + COPIES * len(CROWDED) and pool.is_dir() and held_out.is_dir()
    assert all((tmp_path / "new") in path.readlink().parents for path in linked)


def test_scenes_are_distilled_on_where_they_are_wanted(tmp_path: Path) -> None:
    data = assets(tmp_path / "assets") / "data"
    (data / "scenes_pool/SOURCES.md").touch()
    assert not list(split(data, tmp_path / "few")[0].rglob("sc.jpg"))
    pool, _ = split(data, tmp_path / "more", scenes=True)
    assert [path.name for path in (pool / "scenes_pool").iterdir()] == ["sc.jpg"]


def test_four_tasks_are_measured(tmp_path: Path) -> None:
    images = {kind: [tmp_path / kind] for _, kind in (*MEASURED, MASKS)}
    words = evaluating(images, tmp_path, tmp_path / "run", None, (*MEASURED, MASKS))
    assert f"instance-segmentation={tmp_path / 'coco_val'}" in words
    assert not [w for w in evaluating(images, tmp_path, tmp_path, None) if "instance" in w]
    assert len(FOUR_TASKS) == 4 and "yolox/nano" not in FOUR_TASKS


def test_blocks_share_out_what_is_held_out_and_keep_its_labels(tmp_path: Path) -> None:
    data = assets(tmp_path / "assets") / "data"
    _, held_out = split(data, tmp_path / "split")
    made = blocks(data, held_out, tmp_path / "blocks")
    assert [*made] == ["held-out", *LABELED]
    assert {len(folders) for folders in made.values()} == {BLOCKS}
    for kind in LABELED:
        found = [json.loads((block / "instances.json").read_text()) for block in made[kind]]
        assert sorted(image["id"] for one in found for image in one["images"]) == [*range(10, 18)]
        for block, one in zip(made[kind], found, strict=True):
            assert all((block / "images" / image["file_name"]).exists() for image in one["images"])
            assert sorted(box["image_id"] for box in one["annotations"]) == sorted(
                image["id"] for image in one["images"] * 2
            )
            assert one["categories"] == [{"id": 1, "name": "cat"}]
    labels = [json.loads((block / "labels.json").read_text()) for block in made["held-out"]]
    assert {name for one in labels for name in one} == {"0.jpg"}
    assert (made["held-out"][0] / "0.jpg").exists()


def test_the_page_says_how_far_ours_is_from_each_rival_on_both_kinds_of_pictures() -> None:
    rows = [make_row(record("mse", 0.1)), make_row(record("kpu", 0.2))]
    page = markdown({"command": "c", "machine": MACHINE, "steps": 7, "rows": rows})
    (line,) = [line for line in page.splitlines() if line.startswith("| mse | **")]
    # The detector's retention is 0.5 in place of 0.3, on the mean of its two kinds of images.
    assert line.startswith("| mse | **+0.067 (+0.067 to +0.067)** | **+0.200 (+0.200 to +0.200)**")
