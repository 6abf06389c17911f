"""A model as a backbone: torchvision's own detector trains on it, and runs."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from toy_bundle import write_toy_bundle

import kivfm_core
from kivfm_core.composition.composition import Composition
from kivfm_core.errors import UsageError
from kivfm_core.loaded.load import LoadedModel


@pytest.fixture
def student(composition: Composition, tmp_path: Path) -> LoadedModel:
    return kivfm_core.load(write_toy_bundle(composition, tmp_path / "student"), accelerator="cpu")


def test_it_gives_the_features_of_canvases_in_0_1(student: LoadedModel, pictures: Path):
    backbone = student.backbone()
    canvases, _ = student.preprocess(next(iter(pictures.iterdir())))
    maps = backbone(canvases)
    assert isinstance(maps, OrderedDict) and list(maps) == ["V"]
    assert backbone.out_channels == maps["V"].shape[1]
    torch.testing.assert_close(
        maps["V"], student.features(next(iter(pictures.iterdir()))).maps["V"]
    )


def test_maps_of_one_width_come_finest_first(student: LoadedModel):
    backbone = student.backbone(out_channels=32)
    maps = backbone(torch.rand(1, 3, 64, 64))
    dense = [level.name for level in student.spec.levels if level.kind == "dense"]
    assert set(maps) == set(dense) and {m.shape[1] for m in maps.values()} == {32}
    sides = [m.shape[-1] for m in maps.values()]
    assert sides == sorted(sides, reverse=True)


def test_a_frozen_teacher_stays_in_evaluation_mode(toys: dict[str, str]):
    model = kivfm_core.load("toybase", accelerator="cpu", weights=toys["toybase/small"])
    backbone = model.backbone(out_channels=8).train()
    assert backbone.training and not backbone.body.training
    backbone(torch.rand(1, 3, 64, 64))["dense"].sum().backward()
    assert {n for n, p in backbone.named_parameters() if p.grad is not None} == {
        "projections.dense.weight", "projections.dense.bias",
    }  # fmt: skip


def test_what_has_no_common_width_or_no_such_map_is_refused(toys: dict[str, str]):
    model = kivfm_core.load("toypurpose", accelerator="cpu", weights=toys["toypurpose/small"])
    with pytest.raises(UsageError, match="differ in channels: fine 24, coarse 40"):
        model.backbone(["fine", "coarse"])
    with pytest.raises(UsageError, match="no map 'P9'"):
        model.backbone(["P9"])


def test_torchvisions_fcos_trains_a_step_and_runs(student: LoadedModel):
    torch.manual_seed(0)
    backbone = student.backbone(out_channels=32)
    levels = len(backbone.names)
    anchors = AnchorGenerator(tuple((8 * 2**i,) for i in range(levels)), ((1.0,),) * levels)
    model = FCOS(
        backbone, num_classes=3, anchor_generator=anchors, min_size=64, max_size=96,
        image_mean=[0.0] * 3, image_std=[1.0] * 3,
    )  # fmt: skip
    images = [torch.rand(3, 64, 80), torch.rand(3, 64, 64)]
    targets = [
        {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}
        for _ in images
    ]
    trained = [p for p in model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trained]
    losses = model.train()(images, targets)
    sum(losses.values()).backward()
    torch.optim.SGD(trained, lr=0.01).step()
    assert any(not torch.equal(a, b) for a, b in zip(before, trained, strict=True))
    adapter = [p for n, p in model.named_parameters() if "body.adapter" in n and p.requires_grad]
    assert adapter and any(p.grad is not None and p.grad.any() for p in adapter)
    with torch.no_grad():
        found = model.eval()(images)
    assert len(found) == 2 and set(found[0]) == {"boxes", "scores", "labels"}
