"""An export says what its model says, in a process that lacks kivfm; or it is not there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from kivfm_core.errors import KivfmError, PluginError, UsageError
from kivfm_core.exports import onnx
from kivfm_core.exports.check import check, check_images, compare
from kivfm_core.exports.export import export
from kivfm_core.exports.formats import ONNX
from kivfm_core.exports.program import features_program
from kivfm_core.models.open import open_model
from kivfm_core.prediction.predict import predict
from kivfm_core.registry import requirements
from kivfm_core.scenes.render import render

PAGE = Path(__file__).parents[3] / "docs/how-to/export-a-model.md"
SCRIPT = re.findall(r'^```python title="detect.py"\n(.*?)^```', PAGE.read_text(), re.M | re.S)[0]


def test_detection_in_onnx_gives_the_boxes_that_kivfm_gives(tmp_path: Path):
    """By the script of the docs, in a process without kivfm."""
    done = export("detector/nano", "onnx", tmp_path / "d.onnx", task="detection")
    assert set(done.errors) == {"boxes", "scores"} and max(done.errors.values()) < 1e-4
    assert json.loads((tmp_path / "d.onnx.json").read_text())["checked"]["images"] == 9
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["d.onnx", "d.onnx.json"]
    # Of the canvas's own size, so that nobody's way of resizing matters.
    scene = Image.fromarray(render(3, 0, "flat").image).resize((112, 112))
    scene.save(tmp_path / "scene.png")
    (tmp_path / "detect.py").write_text(SCRIPT)
    words = [sys.executable, "detect.py", "d.onnx", "scene.png"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    seen = predict(open_model("detector/nano", "cpu").solver("detector/nano"),
                   tmp_path / "scene.png", "detection", threshold=0.3).found  # fmt: skip
    lines = [line.split() for line in said.splitlines() if float(line.split()[0]) >= 0.3]
    assert len(seen) > 1 and [line[1] for line in lines] == [item["label"] for item in seen]
    for line, item in zip(lines, seen, strict=True):
        assert np.abs(np.array(line[2:], float) - item["box"]).max() <= 0.51
        assert abs(float(line[0]) - item["score"]) < 0.0051
    boxes = np.array(Image.open(tmp_path / "boxes.png"))
    red = (boxes == (255, 0, 0)).all(2) & (np.array(scene) != boxes).any(2)
    x0, y0, x1, y1 = seen[0]["box"]
    assert red.sum() > (x1 - x0) + (y1 - y0)  # half of one outline


def test_torch_export_runs_without_kivfm_on_batches_of_any_size(tmp_path: Path):
    labels = ["a ring", "a star", "a heart"]
    done = export("clip/nano", "torch-export", tmp_path / "c.pt2", task="zero-shot", labels=labels)
    assert done.card["labels"] == labels and done.card["outputs"] == {"logits": ["B", 3]}
    code = "import torch, sys; m = torch.export.load(sys.argv[1]).module();"
    code += "print([tuple(m(torch.rand(n, 3, 96, 96))[0].shape) for n in (1, 5)])"
    words = [sys.executable, "-c", code, str(tmp_path / "c.pt2")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[(1, 3), (5, 3)]"


def test_safetensors_hold_what_builds_the_encoder_again(tmp_path: Path):
    done = export("dino/nano", "safetensors", tmp_path / "d.safetensors")
    assert done.errors == dict.fromkeys(done.card["outputs"], 0.0)
    assert done.card["licenses"]["strictest"] == "Apache-2.0"


def test_what_says_something_else_is_not_written(tmp_path: Path, monkeypatch):
    def wrong(file: Path, batches: Any, prompts: Any) -> list[dict[str, Any]]:
        return [
            {k: v.numpy() + 0.1 for k, v in program.run(torch.from_numpy(b)).items()}
            for b in batches
        ]

    program = features_program(open_model("dino/nano", "cpu"))
    monkeypatch.setattr("kivfm_core.exports.safetensors.run", wrong)
    with pytest.raises(KivfmError, match="of its largest value off"):
        export("dino/nano", "safetensors", tmp_path / "d.safetensors")
    assert not list(tmp_path.iterdir())


def test_an_output_that_does_not_look_is_found():
    program = features_program(open_model("dino/nano", "cpu"))
    canvases = [program.canvases(check_images())]
    right = {name: value.numpy() for name, value in program.run(canvases[0]).items()}
    assert compare(program, canvases, [right]) == dict.fromkeys(right, 0.0)
    name = program.outputs[0]
    blind = {**right, name: right[name][:1].repeat(len(canvases[0]), 0)}
    with pytest.raises(KivfmError, match=f"{name} is the same whatever it is shown"):
        compare(program, canvases, [blind])
    with pytest.raises(KivfmError, match="nothing is written"):
        check({"x": float("nan")}, "fp32")


@pytest.mark.parametrize(
    ("name", "format", "file", "more", "why"),
    [
        ("dino/nano", "timm", "a.safetensors", {}, "is no timm model"),
        ("dino/nano", "onnx", "a.onnx", {"labels": ["a"]}, "features take no labels"),
        ("dino/nano", "onxn", "a.onnx", {}, "unknown format"),
        ("dino/nano", "onnx", "a.pt", {}, "no name for a file of onnx"),
        ("dino/nano", "safetensors", "no/a.safetensors", {}, "there is no folder"),
        ("sam/nano", "timm", "a.safetensors", {"task": "promptable-segmentation"}, "and no task"),
        ("clip/nano", "onnx", "a.onnx", {"task": "zero-shot"}, "needs class names"),
        ("dino/nano", "onnx", "a.onnx", {"size": (97, 96)}, "does not fit"),
        ("detector/nano", "safetensors", "a.safetensors", {"task": "detection"}, "and no task"),
        ("dino/nano", "onnx", "a.onnx", {"quantize": "int8"}, "images to calibrate with"),
        ("dino/nano", "onnx", "a.onnx", {"calibration": "x"}, "does nothing without"),
        ("dino/nano", "onnx", "a.onnx", {"quantize": "int4", "calibration": "x"}, "unknown quant"),
        ("dino/nano", "torch-export", "a.pt2", {"quantize": "int8", "calibration": "x"}, "eight"),
        ("dino/nano", "onnx", "a.onnx", {"dtype": "bf16"}, "not written in bf16"),
        ("dino/nano", "timm", "a.safetensors", {"dtype": "fp16"}, "not written in fp16"),
        ("dino/nano", "onnx", "a.onnx", {"dtype": "fp8"}, "unknown dtype"),
        (
            "dino/nano",
            "onnx",
            "a.onnx",
            {"dtype": "fp16", "quantize": "int8", "calibration": "x"},
            "do not run here",
        ),
        ("dino/nano", "onnx", "a.onnx", {"dynamic": True, "size": (96, 96)}, "any size"),
        ("dino/nano", "safetensors", "a.safetensors", {"dynamic": True}, "fit every size"),
        (
            "dino/nano",
            "onnx",
            "a.onnx",
            {"data": "x"},
            "only a task in onnx or torch-export has a score",
        ),
    ],
)
def test_what_cannot_be_exported_is_said_at_once(tmp_path: Path, name, format, file, more, why):
    with pytest.raises(UsageError, match=why):
        export(name, format, tmp_path / file, **more)
    assert not list(tmp_path.iterdir())


def test_it_is_checked_with_a_folder_of_images(tmp_path: Path):
    folder, file = tmp_path / "photos", tmp_path / "dino.safetensors"
    folder.mkdir()
    for number in range(7):
        Image.effect_noise((96, 96), 10 + 9 * number).save(folder / f"{number}.png")
    with pytest.raises(UsageError, match="7 images are too few"):
        export("dino/nano", "safetensors", file, images=[folder])
    shutil.copy(folder / "0.png", folder / "7.png")
    with pytest.raises(UsageError, match="7 different images are too few"):
        export("dino/nano", "safetensors", file, images=[folder])
    Image.effect_noise((96, 96), 90).save(folder / "7.png")
    done = export("dino/nano", "safetensors", file, images=[folder])
    assert done.card["checked"]["images"] == 8


def test_the_card_is_in_the_file_itself(tmp_path: Path):
    program = features_program(open_model("dino/nano", "cpu"), (48, 64))
    onnx.write(program, {"model": "dino/nano"}, tmp_path / "a.onnx")
    from onnxruntime import InferenceSession

    session = InferenceSession(str(tmp_path / "a.onnx"))
    assert json.loads(session.get_modelmeta().custom_metadata_map["kivfm"])["model"] == "dino/nano"
    assert [i.shape for i in session.get_inputs()] == [["batch", 3, 48, 64]]


def test_what_was_not_exported_is_not_overwritten(tmp_path: Path):
    weights = tmp_path / "student.safetensors"
    weights.write_bytes(b"weights")
    with pytest.raises(UsageError, match="is there already, and was not exported"):
        export("dino/nano", "safetensors", weights)
    assert weights.read_bytes() == b"weights"
    for _ in range(2):  # an export is written again
        export("dino/nano", "safetensors", tmp_path / "dino.safetensors")


def test_an_exporter_that_is_too_old_is_named_before_the_work(monkeypatch, tmp_path: Path):
    real = requirements.version
    monkeypatch.setattr(
        requirements, "version", lambda name: "2.6.0" if name == "torch" else real(name)
    )
    with pytest.raises(PluginError, match=r"onnx needs torch>=2\.\d+") as refused:
        export("no teacher", "onnx", tmp_path / "a.onnx")
    assert refused.value.hint == "pip install 'kivfm[onnx]'"


def test_the_extra_brings_what_the_format_needs():
    project = tomllib.loads((PAGE.parents[2] / "pyproject.toml").read_text())["project"]
    assert sorted(project["optional-dependencies"]["onnx"]) == sorted(ONNX)
