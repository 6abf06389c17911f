"""What teachers share, as features: stored, and searched by a part of an image or by words."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from toy_bundle import write_toy_bundle

import kivfm_core
from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig, build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.embedding.latent import Part, image_vector
from kivfm_core.embedding.nearest import read_index
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.scenes.write import write_scenes
from kivfm_core.spec import InputContract
from kivfm_core.teacher import Levels


@pytest.fixture
def bundle(config: RunConfig, tmp_path: Path) -> Path:
    plan = compose(config.model_copy(update={"recipe": "kpu-joint"}))
    return write_toy_bundle(plan, tmp_path / "student")


@pytest.fixture
def index(bundle: Path, pictures: Path, tmp_path: Path) -> Path:
    kivfm_core.embed(bundle, pictures, tmp_path / "z.npz", latent=True, pool=4, accelerator="cpu")
    return tmp_path / "z.npz"


def test_what_is_shared_is_stored(bundle: Path, index: Path, pictures: Path):
    content = read_index(index)
    assert content.manifest["level"] == "z"
    assert content.manifest["maps"] == {"Z": [64, 4, 4]} and content.vectors.shape[1] == 64
    assert np.load(index)["Z"].shape == (len(content.names), 64, 4, 4)
    student = kivfm_core.load(bundle, accelerator="cpu")
    canvas, frames = student.preprocess(content.names[3])
    z = student.model.encoder.encode(canvas, frames)["z"][0]
    assert np.allclose(content.vectors[3], z.numpy(), atol=1e-4)


def test_an_image_finds_itself_and_its_parts_are_of_it(bundle: Path, index: Path, pictures: Path):
    query = pictures / "04.png"
    hits = kivfm_core.nearest(bundle, index, query, k=3, accelerator="cpu")
    assert hits[0].file == str(query) and hits[0].score == pytest.approx(1, abs=1e-5)
    with Image.open(query) as opened:
        width, height = opened.size
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 7
    Image.fromarray(mask).save(index.with_name("mask.png"))
    box = (0, 0, width // 2, height)
    by_box = kivfm_core.nearest(bundle, index, query, box=box, accelerator="cpu")
    by_mask = kivfm_core.nearest(
        bundle, index, query, mask=index.with_name("mask.png"), accelerator="cpu"
    )
    assert by_box == by_mask and len(by_box) == 10


class Ramp:
    """An encoder whose Z is 1, 2, 3, 4 from left to right, on a canvas of 8 x 8 pixels."""

    spec = SimpleNamespace(
        input=InputContract(size=8, policy="stretch", mean=(0, 0, 0), std=(1, 1, 1))
    )

    def encode(self, canvas: torch.Tensor, frames: list[Frame]) -> Levels:
        z = torch.arange(1.0, 5.0).expand(1, 1, 4, 4)
        return Levels({"Z": z, "z": z.mean((2, 3))}, frames)


@pytest.mark.parametrize(
    ("box", "mean"),
    [((0, 0, 10, 40), 1), ((30, 0, 40, 40), 4), ((10, 5, 30, 9), 2.5), ((-9, -9, 1e999, 99), 2.5)],
)
def test_a_box_is_the_mean_of_its_places(tmp_path: Path, box: Any, mean: float):
    Image.new("RGB", (40, 40)).save(tmp_path / "i.png")
    model = object.__new__(StudentModel)
    model.__dict__ |= {"composition": SimpleNamespace(shared_head=1), "encoder": Ramp()}
    found = image_vector(model, tmp_path / "i.png", Part(box=box))
    assert found.item() == pytest.approx(mean, abs=1e-4)


def test_parts_that_cannot_be(bundle: Path, index: Path, pictures: Path, tmp_path: Path):
    Image.new("L", (3, 5), 255).save(tmp_path / "small.png")
    for box, mask, message in (
        ((900, 900, 950, 950), None, "shows nothing of the image"),
        ((20, 5, 10, 9), None, "shows nothing of the image"),
        ((-9, -9, -2, -2), None, "shows nothing of the image"),
        ((float("nan"), 0, 9, 9), None, "shows nothing of the image"),
        (None, tmp_path / "small.png", "has 3 x 5 pixels"),
        ((0, 0, 9, 9), tmp_path / "small.png", "either a box or a mask"),
    ):
        with pytest.raises(UsageError, match=message):
            kivfm_core.nearest(
                bundle, index, pictures / "00.png", box=box, mask=mask, accelerator="cpu"
            )
    with pytest.raises(UsageError, match="a text has no box"):
        kivfm_core.nearest(bundle, index, "a ring", box=(0, 0, 9, 9), accelerator="cpu")
    with pytest.raises(UsageError, match="knows words") as error:
        kivfm_core.nearest(bundle, index, "a ring", accelerator="cpu")
    assert "--add-teacher clip" in str(error.value.hint)


def test_other_students_share_nothing(composition: Composition, pictures: Path, tmp_path: Path):
    other, out = write_toy_bundle(composition, tmp_path / "other"), tmp_path / "f.npz"
    with pytest.raises(UsageError, match="no space that teachers share") as error:
        kivfm_core.embed(other, pictures, out, latent=True, accelerator="cpu")
    assert "--recipe kpu-joint" in str(error.value.hint)
    with pytest.raises(UsageError, match="no one teacher's"):
        kivfm_core.embed(other, pictures, out, latent=True, teacher="toypurpose", accelerator="cpu")
    kivfm_core.embed(other, pictures, out, accelerator="cpu")
    with pytest.raises(UsageError, match="compared with what all teachers share"):
        kivfm_core.nearest(other, out, pictures / "00.png", box=(0, 0, 9, 9), accelerator="cpu")


@pytest.mark.slow
def test_what_is_searched_for_is_found_more_often_than_by_chance(tmp_path: Path):
    """A student of few steps: words and boxes rank the images that show the class first."""
    write_scenes(tmp_path / "scenes", train=96, val=60, per_class=0, seed=0)
    values: dict[str, Any] = {"teachers": "dino/nano,clip/nano,segmenter/nano"}
    values |= {"recipe": "kpu-joint"}
    images = str(tmp_path / "scenes/train/images")
    values |= {"data": {"path": images, "image_size": (96,), "views": 1}}
    values |= {"optim": {"steps": 120, "batch_size": 8}, "student": {"width": 64}}
    config = build_config(None, values)
    run = open_model(distill(config, out=tmp_path / "run"), "cpu")
    val, out = tmp_path / "scenes/val", tmp_path / "z.npz"
    kivfm_core.embed(run, val / "images", out, latent=True, accelerator="cpu")
    labels = json.loads((val / "instances.json").read_text())
    files = {image["id"]: str(val / "images" / image["file_name"]) for image in labels["images"]}
    names = {kind["id"]: kind["name"] for kind in labels["categories"]}
    shown: dict[int, set[str]] = {kind: set() for kind in names}
    for thing in labels["annotations"]:
        shown[thing["category_id"]].add(files[thing["image_id"]])

    def precision(kind: int, without: str = "", **query: Any) -> tuple[float, float]:
        hits = kivfm_core.nearest(run, out, k=999, accelerator="cpu", **query)
        rows = [(hit.file in shown[kind], hit.score) for hit in hits if hit.file != without]
        there, scores = np.array(rows, float).T
        return cast(float, average_precision_score(there, scores)), float(there.mean())

    found = [precision(kind, query=f"a {name}") for kind, name in names.items() if shown[kind]]
    assert np.mean([a - b for a, b in found]) > 0.02
    boxes = []
    for thing in labels["annotations"][:40]:
        x, y, w, h = thing["bbox"]
        file = files[thing["image_id"]]
        boxes.append(precision(thing["category_id"], file, query=file, box=(x, y, x + w, y + h)))
    assert np.mean([a - b for a, b in boxes]) > 0.02
