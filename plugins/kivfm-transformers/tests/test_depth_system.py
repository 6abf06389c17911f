"""Depth estimators from the command line: kivfm treats them like any other teacher."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image

BASE, DEPTH = "transformers/models/base", "transformers/models/depth"
KIVFM = [sys.executable, "-c", "import sys; from kivfm_cli.app import main; sys.exit(main())"]
SIZE = (90, 120)


SMALL = {"hidden_size": 24, "num_attention_heads": 2, "patch_size": 14, "image_size": 70}


def general():
    model = hf.Dinov2Model(hf.Dinov2Config(**SMALL, num_hidden_layers=2))
    size = {"size": {"shortest_edge": 70}, "crop_size": {"height": 70, "width": 70}}
    return model, hf.BitImageProcessor(**size)


def depth_anything():
    layers = {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4], "reshape_hidden_states": False}
    config = hf.DepthAnythingConfig(
        backbone_config=hf.Dinov2Config(**SMALL, **layers),
        reassemble_hidden_size=24,
        neck_hidden_sizes=[8, 12, 16, 20],
        fusion_hidden_size=16,
        head_hidden_size=8,
    )
    model = hf.DepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        for value in model.parameters():  # off their initial values, which give zero everywhere
            value += 0.05 * torch.randn_like(value)
    size = {"size": {"height": 70, "width": 70}}
    return model, hf.DPTImageProcessor(**size, keep_aspect_ratio=True, ensure_multiple_of=14)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a base, a depth teacher, and images with their depth."""
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("place")
    for name, parts in {"base": general(), "depth": depth_anything()}.items():
        for part in parts:
            part.save_pretrained(place / "models" / name)
    for folder in ("images", "depth"):
        (place / "rooms" / folder).mkdir(parents=True)
    rows = np.linspace(4, 1, SIZE[0])[:, None]
    for index in range(4):
        meters = np.broadcast_to(rows, SIZE).copy()
        meters[30:70, 20 * index : 20 * index + 40] = 0.8
        gray = Image.fromarray((200 / meters).astype(np.uint8)).convert("RGB")
        gray.save(place / "rooms" / "images" / f"{index}.jpg")
        millimeters = Image.fromarray((1000 * meters).astype(np.uint16))
        millimeters.save(place / "rooms" / "depth" / f"{index}.png")
    return place


@pytest.fixture(scope="module")
def kivfm(place):
    """Runs a command there; returns what it prints."""

    def kivfm(*words):
        done = subprocess.run(
            [*KIVFM, *words], cwd=place, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return kivfm


@pytest.fixture(scope="module")
def run(kivfm):
    """A run of two steps."""
    words = "--steps 2 --batch-size 2 --set optim.calibration=4 --out runs/a".split()
    kivfm("distill", "--teachers", f"{BASE},{DEPTH}", "--data", "rooms/images", *words)
    return "runs/a"


def test_the_teacher_is_described(kivfm):
    shown = json.loads(kivfm("teachers", "show", DEPTH, "--json"))
    assert shown["teacher"]["tasks"] == ["depth"]


def test_the_teacher_is_checked(kivfm):
    checks = json.loads(kivfm("teachers", "check", DEPTH, "--json"))["checks"]
    status = {check["name"]: check["status"] for check in checks}
    assert status["decoders"] == status["readouts"] == status["original"] == "ok"
    assert "finding" not in status.values()


def test_the_student_is_measured_beside_its_teacher(kivfm, run, place):
    kivfm("evaluate", run, "--data", "rooms", "--tasks", "depth")
    stored = json.loads((place / run / "evaluation.json").read_text())
    (row,) = [row for row in stored["rows"] if row["task"] == "depth"]
    assert (row["teacher"], row["metric"]) == (DEPTH, "delta 1")
    assert 0 <= row["student_score"] <= 1
    assert 0 < row["teacher_score"] <= 1


def test_an_image_is_predicted_and_drawn(kivfm, run, place):
    image = "rooms/images/0.jpg"
    found = json.loads(kivfm("predict", run, image, "--task", "depth", "-o", "depth.png", "--json"))
    assert (found["teacher"], found["width"], found["height"]) == (DEPTH, 120, 90)
    low, middle, high = (row["inverse_depth"] for row in found["depths"])
    assert low <= middle <= high and low < high
    with Image.open(place / "depth.png") as drawn:
        colors = np.asarray(drawn)
    assert (colors[..., 0] != colors[..., 2]).any()  # the image is gray
