"""Heads that find objects, by the real commands: trained on drawn scenes, and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nano_student import Captured, answer, distill

from kivfm_cli.app import main
from kivfm_core.scenes.write import write_scenes

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning"),
    pytest.mark.timeout(900),
]


def write_things(folder: Path, number: int, seed: int) -> Path:
    """Scenes whose objects are all of one class: few images are enough to learn it."""
    write_scenes(folder, train=8, val=number, seed=seed, per_class=0)
    file = folder / "val/instances.json"
    record = json.loads(file.read_text())
    record["categories"] = [{"id": 1, "name": "thing"}]
    for item in record["annotations"]:
        item["category_id"] = 1
    file.write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes to learn from and to validate on, and a student of two nano teachers."""
    folder = tmp_path_factory.mktemp("heads")
    write_things(folder / "train", 40, seed=1)
    write_things(folder / "val", 12, seed=2)
    distill(folder / "train/train/images", folder / "run")
    return folder


def train(place: Path, task: str, out: str, *flags: str) -> list[str]:
    """The words of a training, on the scenes."""
    data = ("--data", str(place / "train/val"), "--val", str(place / "val/val"))
    return ["head", str(place / "run"), "--task", task, *data, "--out", str(place / out), *flags]


@pytest.mark.parametrize(
    ("task", "kind", "batch"),
    [("detection", "fcos", 8), ("instance-segmentation", "mask-rcnn", 4)],
)
def test_a_head_finds_objects_that_nobody_labeled(
    place: Path, task: str, kind: str, batch: int, capsys: Captured
):
    flags = ("--steps", "60", "--batch-size", str(batch), "--every", "30")
    made = answer(capsys, *train(place, task, kind, *flags))
    assert made["head"] == f"head/{kind}" and made["classes"] == ["thing"]
    assert made["score"] > 0.03  # who finds nothing scores nothing
    assert "objects are of thing (100.0%)" in made["notes"][-1]
    run, image = str(place / kind), str(place / "val/val/images/000000.jpg")
    rows = answer(capsys, "evaluate", run, "--data", f"{task}={place / 'val/val'}")["rows"]
    (row,) = (row for row in rows if row["teacher"] == f"head/{kind}")
    assert row["student_score"] == pytest.approx(made["score"], abs=1e-6)
    drawn = place / f"{kind}.png"
    words = ("predict", run, image, "--task", task, "--teacher", f"head/{kind}", "-o", str(drawn))
    found = answer(capsys, *words, "--threshold", "0.1")
    assert "thing" in json.dumps(found) and drawn.is_file()


def test_boxes_are_exported_and_masks_that_follow_boxes_are_refused(place: Path, capsys: Captured):
    flags = ("--steps", "2", "--batch-size", "2", "--limit", "4", "--augment")
    assert main(train(place, "detection", "boxes", *flags)) == 0
    file, masks = place / "boxes.pt2", place / "masks.pt2"
    words = ("export", "--format", "torch-export", "--task")
    asked = ("detection", "--teacher", "head/fcos", "-o", str(file))
    assert main([*words, *asked, str(place / "boxes")]) == 0  # the file is checked as it is written
    card = json.loads(file.with_name("boxes.pt2.json").read_text())
    assert "thing" in json.dumps(card) and "suppression" in json.dumps(card)
    assert main(train(place, "instance-segmentation", "masks", *flags)) == 0
    asked = ("instance-segmentation", "--teacher", "head/mask-rcnn", "-o", str(masks))
    assert main([*words, *asked, str(place / "masks")]) == 2
    assert "decode them in Python" in capsys.readouterr().err and not masks.exists()
