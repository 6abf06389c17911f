"""What ONNX Runtime runs, OpenVINO runs, too: a student's detection, boxes and scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.exports import onnx
from kivfm_core.exports.check import check_images
from kivfm_core.exports.program import task_program
from kivfm_core.models.open import open_model
from kivfm_core.registry.registry import find_task
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import load_teacher


@pytest.mark.slow  # half a minute: a student is traced, and OpenVINO compiles it
def test_openvino_finds_the_same_boxes(tmp_path: Path):
    openvino = pytest.importorskip("openvino", reason="needs openvino")
    plan = compose(build_config(None, {"teachers": "dino/nano,detector/nano"}))
    torch.manual_seed(0)
    student = Student(plan)
    with torch.no_grad():  # as if it had learned something
        for tensor in student.parameters():
            if tensor.is_floating_point() and not tensor.any():
                tensor.normal_(std=0.02)
    student.decoders = {spec.name: load_teacher(spec).decoders for spec in plan.teachers}
    write_bundle(student, tmp_path / "student")
    model = open_model(tmp_path / "student", "cpu")
    program = task_program(model, "detector/nano", find_task("detection"), {})
    file = tmp_path / "detector.onnx"
    onnx.write(program, {}, file)
    compiled = openvino.Core().compile_model(
        str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    )
    for images in (check_images()[:1], check_images()[1:4]):  # batches of any size
        canvases = program.canvases(images).numpy()
        (right,) = onnx.run(file, [canvases])
        found = compiled(canvases)
        for name, value in right.items():
            assert np.abs(value).max() > 0 and value.std() > 1e-3
            assert np.abs(found[name] - value).max() <= 1e-3 * np.abs(value).max(), name
