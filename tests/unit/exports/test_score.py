"""The score of an export is its model's, and one that loses too much is not written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.exports.check import check_images
from kivfm_core.exports.export import export
from kivfm_core.exports.exported import Exported
from kivfm_core.exports.program import Program, task_program
from kivfm_core.exports.quantize import quantize
from kivfm_core.exports.score import Scores, check_score, score
from kivfm_core.geometry import Frame
from kivfm_core.models.open import open_model
from kivfm_core.registry.registry import find_task
from kivfm_core.scenes.write import write_scenes
from kivfm_core.teacher import load_teacher


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes(folder, train=10, val=12, per_class=1)
    return folder


def torch_run(program: Program):
    return lambda x: {k: v.numpy() for k, v in program.run(torch.from_numpy(x)).items()}


def test_eight_bits_are_small_and_say_what_they_lose(tmp_path: Path, scenes: Path):
    data, images = str(scenes / "val"), scenes / "train"
    done = export("detector/nano", "onnx", tmp_path / "d.onnx", task="detection",
                  quantize="int8", calibration=images, data=data, keep=0.9)  # fmt: skip
    assert done.scores and done.scores.images == 12
    assert done.scores.export != done.scores.pytorch and done.scores.kept > 0.9
    card = json.loads((tmp_path / "d.onnx.json").read_text())
    assert card["precision"] == "int8" and card["checked"]["score"]["metric"] == "box AP"
    model = open_model("detector/nano", "cpu")
    parameters = sum(x.numel() for x in model.load().parameters())  # type: ignore[attr-defined]
    assert card["checked"]["bytes"] < 2 * parameters  # four bytes each, before
    from onnxruntime import InferenceSession

    own = InferenceSession(str(tmp_path / "d.onnx")).get_modelmeta().custom_metadata_map
    assert json.loads(own["kivfm"])["suppression"]["iou"] == 0.55
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["d.onnx", "d.onnx.json"]


def test_the_score_is_what_evaluate_gives(scenes: Path):
    """With the suppression that whoever uses an export has to do."""
    model, record = open_model("detector/nano", "cpu"), find_task("detection")
    program = task_program(model, "detector/nano", record, {}, None)
    found = score(program, torch_run(program), str(scenes / "val"))
    right = evaluate_teacher(load_teacher("detector/nano"), "detection", str(scenes / "val"))
    # Its canvases keep the image's shape, an export's do not: the same canvases, the same score.
    assert found.own == pytest.approx(right, abs=1e-6) and found.own != found.pytorch
    spec = load_teacher("detector/nano").spec.model_copy(update={"input": program.contract})
    teacher = load_teacher("detector/nano")
    teacher.spec = spec
    right = evaluate_teacher(teacher, "detection", str(scenes / "val"))
    assert found.export == found.pytorch == pytest.approx(right, abs=1e-6)


def test_boxes_on_a_canvas_of_another_shape_lie_on_the_image(scenes: Path):
    model, record = open_model("detector/nano", "cpu"), find_task("detection")
    program = task_program(model, "detector/nano", record, {}, (112, 144))
    found = score(program, torch_run(program), str(scenes / "val"))
    assert found.export > 0.3


def test_classes_are_found_by_name_whatever_their_order(scenes: Path):
    names = [folder.name for folder in sorted((scenes / "val/classes").iterdir())]
    labels = [name.replace("_", " ") for name in reversed(names)]
    model, record = open_model("clip/nano", "cpu"), find_task("zero-shot")
    program = task_program(model, "clip/nano", record, {"labels": labels}, None)
    data = str(scenes / "val/classes")
    right = evaluate_teacher(load_teacher("clip/nano"), "zero-shot", data)
    assert score(program, torch_run(program), data).export == pytest.approx(right)
    few = task_program(model, "clip/nano", record, {"labels": labels[1:]}, None)
    with pytest.raises(UsageError, match="which the export lacks"):
        score(few, torch_run(few), data)


def test_what_loses_too_much_is_refused():
    check_score(Scores("mIoU", "d", 9, 0.5, pytorch=0.5, export=0.4985), "fp32", 0.98)
    with pytest.raises(KivfmError, match=r"more than 0.002 off; nothing is written"):
        check_score(Scores("mIoU", "d", 9, 0.5, pytorch=0.5, export=0.5025), "fp32", 0.98)
    lost = Scores("mIoU", "d", 9, 0.5, pytorch=0.5, export=0.4678)
    with pytest.raises(KivfmError, match=r"it keeps 0.936, less than 0.98") as refused:
        check_score(lost, "int8", 0.98)
    assert "--keep 0.93" in str(refused.value.hint)
    check_score(lost, "int8", 0.93)


def test_few_images_do_not_calibrate(tmp_path: Path, scenes: Path):
    (tmp_path / "few").mkdir()
    first = next((scenes / "train/images").iterdir())
    (tmp_path / "few" / first.name).write_bytes(first.read_bytes())
    model, record = open_model("detector/nano", "cpu"), find_task("detection")
    program = task_program(model, "detector/nano", record, {}, None)
    with pytest.raises(UsageError, match="too few to calibrate with"):
        quantize(program, tmp_path / "a.onnx", tmp_path / "few")


def test_a_batch_is_suppressed_image_by_image():
    model, record = open_model("detector/nano", "cpu"), find_task("detection")
    program = task_program(model, "detector/nano", record, {}, None)
    exported = Exported(program, torch_run(program))
    canvases = program.canvases(check_images()[:3])
    h, w = size = program.size
    frames = [Frame(size, (0, 0, w, h), size, (0, 0), size)] * 3
    both = exported.decode("detection", exported.encode(canvases, frames))
    one = exported.decode("detection", exported.encode(canvases[1:2], frames[1:2]))
    assert np.allclose(both.boxes[1], one.boxes[0], atol=1e-3)  # type: ignore[union-attr]


def test_a_program_of_torch_has_a_score_too(tmp_path: Path, scenes: Path):
    task, data = "promptable-segmentation", str(scenes / "val")
    done = export("sam/nano", "torch-export", tmp_path / "m.pt2", task=task, data=data)
    assert done.scores is not None and done.scores.images == 12 and done.scores.export > 0.3
    assert done.scores.export == pytest.approx(done.scores.pytorch, abs=1e-4)
