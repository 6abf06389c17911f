"""Masks leave the house, too: those of boxes, and those of clicks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.exports import onnx
from kivfm_core.exports.check import check_images, compare
from kivfm_core.exports.export import export
from kivfm_core.exports.program import task_program
from kivfm_core.exports.score import score
from kivfm_core.geometry import Click, MaskPrompt
from kivfm_core.models.open import open_model
from kivfm_core.registry.registry import find_task
from kivfm_core.scenes.render import render
from kivfm_core.scenes.write import write_scenes
from kivfm_core.teacher import load_teacher

PAGE = Path(__file__).parents[3] / "docs/how-to/export-a-model.md"
SCRIPT = re.findall(r'^```python title="detect.py"\n(.*?)^```', PAGE.read_text(), re.M | re.S)[0]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes(folder, train=1, val=8, per_class=0)
    return str(folder / "val")


def test_masks_of_boxes_are_those_that_kivfm_gives(tmp_path: Path, scenes: str):
    """By the script of the docs; and the score of the file is the model's."""
    done = export("detector/nano", "onnx", tmp_path / "d.onnx", task="instance-segmentation",
                  data=scenes)  # fmt: skip
    assert done.card["outputs"]["masks"] == ["B", 100, 28, 28]
    assert done.card["masks"] == {"region": "box", "threshold": 0.5}
    assert set(done.errors) == {"boxes", "scores", "masks"} and max(done.errors.values()) < 1e-4
    assert done.scores and done.scores.metric == "mask AP" and done.scores.export > 0.4
    Image.fromarray(render(3, 0, "flat").image).resize((112, 112)).save(tmp_path / "scene.png")
    (tmp_path / "detect.py").write_text(SCRIPT)
    words = [sys.executable, "detect.py", "d.onnx", "scene.png"]
    subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    solver, pixels = load_teacher("detector/nano"), to_tensor(open_image(tmp_path / "scene.png"))
    canvases, frames = make_canvases([pixels], solver.spec.input)
    seen = solver.decode("instance-segmentation", solver.encode(canvases, frames))
    (right,) = seen.to_original(frames)
    assert len(right["masks"]) > 3
    for place, true in enumerate(right["masks"][:4].numpy()):
        mask = np.array(Image.open(tmp_path / f"mask-{place}.png")) > 0
        assert (mask & true).sum() > 0.85 * (mask | true).sum()


def test_only_the_order_of_what_scores_alike_is_forgiven():
    model, record = open_model("detector/nano", "cpu"), find_task("instance-segmentation")
    program = task_program(model, "detector/nano", record, {})
    canvases = [program.canvases(check_images()[:3])]
    right = {name: value.numpy() for name, value in program.run(canvases[0]).items()}
    turned = {name: value[:, ::-1].copy() for name, value in right.items()}
    assert max(compare(program, canvases, [turned]).values()) == 0
    wrong = {**turned, "masks": 1 - turned["masks"]}
    assert compare(program, canvases, [wrong])["masks"] > 0.5


def test_masks_of_clicks_and_boxes(tmp_path: Path):
    task = "promptable-segmentation"
    done = export("sam/nano", "onnx", tmp_path / "s.onnx", task=task, dynamic=True)
    assert done.card["prompt"] == {"points": ["B", "P", "N", 2], "labels": ["B", "P", "N"]}
    assert done.card["outputs"]["logits"] == ["B", "P", "varies", "varies"]
    solver = open_model("sam/nano", "cpu").solver("sam/nano")
    canvas = torch.rand(1, 3, 64, 96)
    prompts = [
        MaskPrompt((Click(20, 30),)),
        MaskPrompt((Click(20, 30), Click(60, 40, positive=False))),
        MaskPrompt(box=(10.0, 12.0, 50.0, 44.0)),
        MaskPrompt((Click(20, 30),), box=(10.0, 12.0, 50.0, 44.0)),
    ]
    levels = solver.encode(canvas, [])
    right = solver.decode(task, levels, solver.prompt(task, prompts=[prompts]))
    given = np.full((1, 4, 4, 3), -1, np.float32)
    for row, prompt in zip(given[0], prompts, strict=True):
        parts = [(c.x, c.y, c.positive) for c in prompt.clicks]
        if prompt.box:
            parts += [(*prompt.box[:2], 2), (*prompt.box[2:], 3)]
        row[: len(parts)] = parts
    asked = {"points": given[..., :2].copy(), "labels": given[..., 2].copy()}
    (found,) = onnx.run(tmp_path / "s.onnx", [canvas.numpy()], [asked])
    assert np.abs(found["logits"] - torch.stack(right.logits).numpy()).max() < 1e-3


def test_the_score_of_clicks_is_what_evaluate_gives(scenes: str):
    model, record = open_model("sam/nano", "cpu"), find_task("promptable-segmentation")
    program = task_program(model, "sam/nano", record, {})

    def by_torch(canvases, prompt):
        asked = {name: torch.from_numpy(value) for name, value in prompt.items()}
        return {k: v.numpy() for k, v in program.run(torch.from_numpy(canvases), asked).items()}

    found = score(program, by_torch, scenes)
    assert found.export == found.pytorch == pytest.approx(found.own, abs=0.01)


def test_what_does_not_listen_is_found():
    model, record = open_model("sam/nano", "cpu"), find_task("promptable-segmentation")
    program = task_program(model, "sam/nano", record, {})
    canvases = [program.canvases(check_images()[:3])]
    prompt = program.example(canvases[0])
    right = program.run(canvases[0], prompt)["logits"].numpy()
    assert compare(program, canvases, [{"logits": right}], [prompt]) == {"logits": 0.0}
    deaf = np.repeat(right[:, :1], 2, axis=1)
    with pytest.raises(KivfmError, match="is the same whatever its prompts"):
        compare(program, canvases, [{"logits": deaf}], [prompt])


@pytest.mark.parametrize(
    ("model", "task", "method", "why"),
    [
        ("detector/nano", "instance-segmentation", "masked_candidates", "follow boxes that it"),
        ("sam/nano", "promptable-segmentation", "masks_at", "sorts prompts by their form"),
    ],
)
def test_a_decoder_that_cannot_be_traced_is_refused(
    tmp_path, monkeypatch, model, task, method, why
):
    opened = open_model(model, "cpu")
    part = type(opened.solver(model).decoders.part(task))  # type: ignore[attr-defined]
    monkeypatch.delattr(part, method)
    with pytest.raises(UsageError, match=f"{why}.*has no `{method}`") as caught:
        export(opened, "onnx", tmp_path / "a.onnx", task=task)
    assert "features" in caught.value.hint and not list(tmp_path.iterdir())
