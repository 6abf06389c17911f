"""Linear segmentation: scored as scikit-learn scores it, on canvases that hide nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import jaccard_score
from toy_bundle import write_toy_bundle

import kivfm_core
from kivfm_core.composition.composition import Composition
from kivfm_core.data.formats.masks import read_masks
from kivfm_core.errors import UsageError
from kivfm_core.models.open import open_model
from kivfm_core.probing import dense
from kivfm_core.probing.bench import Bench
from kivfm_core.probing.protocol import Settings
from kivfm_core.progress import Silent

CLASSES = {"left": (20, 20, 230), "right": (230, 20, 20)}


def write_maps(folder: Path, number: int, seed: int) -> Path:
    """Images of two halves, each of its own color; a strip at the top has no class."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "semantic").mkdir()
    for i in range(number):
        height, width = 40 + 3 * i, 64 - 2 * i
        split = int(random.integers(width // 4, 3 * width // 4))
        classes = np.tile((np.arange(width) >= split).astype(np.uint8), (height, 1))
        pixels = np.array(list(CLASSES.values()))[classes] + random.integers(-20, 20, 3)
        classes[: height // 8] = 255
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"images/{i}.png")
        Image.fromarray(classes).save(folder / f"semantic/{i}.png")
    (folder / "semantic/classes.json").write_text(json.dumps(list(CLASSES)))
    return folder


@pytest.fixture
def bundle(composition: Composition, tmp_path: Path) -> Path:
    return write_toy_bundle(composition, tmp_path / "student")


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, str]:
    return str(write_maps(tmp_path / "t", 8, 0)), str(write_maps(tmp_path / "v", 5, 1))


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_halves_are_told_apart(bundle: Path, sources: tuple[str, str], norm: dense.Norm):
    train, val = sources
    settings = Settings(size=60, norm=norm, steps=80)
    found = kivfm_core.probe(
        bundle, val, train=train, protocols=["dense-linear"], settings=settings, accelerator="cpu"
    )
    (row,) = found.rows
    assert row.score > 0.7 > (row.chance or 1) and row.features == "V"
    assert row.settings == {"size": 64, "norm": norm, "steps": 80}  # a multiple of 8
    assert (row.train_images, row.images, row.bad) == (8, 5, 0)
    low, high = row.interval or (1, 0)
    assert low <= row.score <= high


def test_the_score_is_scikit_learns(
    bundle: Path, sources: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same head, run by hand on images read by another path, scored by another library."""
    train, val = sources
    model = open_model(bundle, "cpu")
    settings = Settings(size=64, steps=15)
    heads = []
    monkeypatch.setattr(dense, "_train", keeping(heads, dense._train))
    bench = Bench(model, settings, {"train": train, "val": val}, tmp_path / "out", Silent())
    (row,) = dense.run(bench)
    data = read_masks(Path(val))
    assert data is not None
    found, true = [], []
    for index, path in enumerate(data.paths):
        image = Image.open(path).convert("RGB")
        canvas = kivfm_core.load(bundle, accelerator="cpu").normalize(
            torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float().div(255)
        )
        canvas = torch.nn.functional.interpolate(
            canvas, (64, 64), mode=model.encoder.spec.input.interpolation, antialias=True
        )
        with torch.no_grad():
            maps = model.network(canvas)["V"].to(torch.bfloat16).float()
            logits = torch.nn.functional.interpolate(
                heads[0](maps), (image.height, image.width), mode="bilinear"
            )
        target = torch.from_numpy(data.semantic(index, data.classes))
        found.append(logits.argmax(1)[0][target >= 0])
        true.append(target[target >= 0])
    expected = jaccard_score(torch.cat(true), torch.cat(found), average="macro")
    assert row.score == pytest.approx(expected, abs=5e-3)


def keeping(heads: list, train):
    def kept(*given):
        heads.append(train(*given))
        return heads[-1]

    return kept


def test_pixels_without_a_class_do_not_count():
    logits = torch.randn(2, 3, 4, 4)
    targets = torch.randint(0, 3, (2, 8, 8))
    targets[0, :5] = -1
    whole = torch.nn.functional.interpolate(logits, (8, 8), mode="bilinear")
    counted = whole.movedim(1, -1)[targets >= 0]
    expected = torch.nn.functional.cross_entropy(counted, targets[targets >= 0])
    torch.testing.assert_close(dense.pixel_loss(logits, targets), expected)
    assert dense.pixel_loss(logits, torch.full_like(targets, -1)) == 0


def test_a_model_that_cannot_is_refused(
    bundle: Path, sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    train, val = sources
    model = open_model(bundle, "cpu")
    bench = Bench(model, Settings(), {"train": train, "val": val}, tmp_path / "out", Silent())
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "dense_level", None)
        with pytest.raises(UsageError, match="has no dense map"):
            dense.run(bench)

    class Fixed:
        spec = model.encoder.spec

        def encode(self, images, frames):
            raise RuntimeError("Input height (64) doesn't match model (224)")

    with pytest.raises(UsageError, match="sees no canvas of 64 pixels") as error:
        dense.OnCanvas(Fixed(), 60).encode(torch.zeros(1, 3, 64, 64), [])
    assert error.value.hint == "its own: --size 64"
