"""The headline command with the real default architectures, from files in the upstream's format."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

pytestmark = pytest.mark.timeout(900)
KIVFM = Path(sys.executable).with_name("kivfm")


def kivfm(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the real command outside of the repository."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(KIVFM), *words], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


def clip_file(path: Path) -> None:
    import open_clip

    model = open_clip.create_model("ViT-B-16", pretrained=None)
    save_file({k: v.clone() for k, v in model.state_dict().items()}, path)


def dino_file(path: Path) -> None:
    import timm

    model = timm.create_model("vit_base_patch14_reg4_dinov2.lvd142m", pretrained=False)
    save_file({k: v.clone() for k, v in model.state_dict().items()}, path)


def sam_file(path: Path) -> None:
    from segment_anything import sam_model_registry

    torch.save(sam_model_registry["vit_b"]().state_dict(), path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights as upstream saves them, and a few pictures of two kinds."""
    folder = tmp_path_factory.mktemp("headline")
    torch.manual_seed(0)
    clip_file(folder / "open_clip_model.safetensors")
    dino_file(folder / "dinov2.safetensors")
    sam_file(folder / "sam_vit_b_01ec64.pth")
    for i in range(6):
        kind = folder / "pictures" / ("a cat", "a dog")[i % 2]
        kind.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((96 + 8 * i, 80), 90).convert("RGB").save(kind / f"{i}.jpg")
    return folder


@pytest.mark.slow
def test_three_steps_then_everything(place: Path):
    weights = {
        "clip": "open_clip_model.safetensors",
        "dino": "dinov2.safetensors",
        "sam": "sam_vit_b_01ec64.pth",
    }
    given = [word for name, file in weights.items() for word in ("--weights", f"{name}={file}")]
    line = kivfm(
        *("distill", "--teachers", "clip,dino,sam", *given, "--data", "pictures", "--out", "run"),
        *("--steps", "3", "--batch-size", "2", "--image-size", "224"),
        *("--set", "optim.calibration=2", "--set", "student.trunk_size=224"),
        cwd=place,
    )
    assert all(file in line.stderr + line.stdout for file in weights.values())
    kivfm("evaluate", "run", "--data", "zero-shot=pictures", "--data", "knn=pictures", cwd=place)
    rows = json.loads((place / "run/evaluation.json").read_text())["rows"]
    assert [(row["teacher"], row["task"]) for row in rows] == [
        ("clip/vit-b-16", "zero-shot"),
        ("dino/vit-b-14", "fidelity"),
    ]
    kivfm(
        *("predict", "run", "pictures/a cat/0.jpg", "--task", "zero-shot"),
        *("--labels", "a cat,a dog", "-o", "out.png"),
        cwd=place,
    )
    with Image.open(place / "out.png") as drawn:
        assert drawn.size
    code = (
        "from kivfm_core import load_student; import torch;"
        "s = load_student('run');"
        "print(*s.stand_in('sam').encode(torch.rand(1, 3, 224, 224), [])['dense'].shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "256", "14", "14"]
