"""Saved labels of a model, read back as data, give that model a score of 1."""

from pathlib import Path

import pytest

from kivfm_core import load_teacher, predict_folder
from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.scenes.write import write_scenes


@pytest.mark.parametrize(
    ("model", "task", "save"),
    [
        ("detector/nano", "detection", "coco"),
        ("detector/nano", "detection", "yolo"),
        ("detector/nano", "detection", "voc"),
        ("detector/nano", "instance-segmentation", "coco"),
        ("detector/nano", "instance-segmentation", "yolo"),
        ("segmenter/nano", "semantic-segmentation", "masks"),
    ],
)
def test_a_model_agrees_with_its_labels(tmp_path: Path, model: str, task: str, save: str) -> None:
    """But for masks in VOC, whose one map has no place for two of them."""
    write_scenes(tmp_path / "data", train=0, val=4, per_class=0)
    teacher, out = load_teacher(model), tmp_path / "labels"
    done = predict_folder(teacher, tmp_path / "data/val/images", task, out, save=save)
    assert (done.images, done.broken) == (4, ())
    assert evaluate_teacher(teacher, task, str(out)) == pytest.approx(1, abs=5e-4)
