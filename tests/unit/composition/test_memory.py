"""The estimate of a step's activations, against what autograd really keeps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.memory import activation_bytes
from kivfm_core.composition.summary import summarize
from kivfm_core.config import build_config
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.student.student import Student

VIEWS = 2


def kept(composition: Composition, recipe: str) -> int:
    """Bytes of the tensors that a pass keeps for its gradients, what is there anyway left out."""
    side = max(composition.image_size)
    canvas = torch.rand(VIEWS, 3, side, side)
    student = Student(composition)
    trunk, teachers = student.run_trunk(canvas), dict[str, dict[str, Tensor]]()
    for spec in composition.learned:
        sides = (composition.side(spec),) * 2
        grids = {v.name: v.grid(sides) if v.kind == "dense" else () for v in spec.levels}
        teachers[spec.name] = {
            level.name: torch.rand(VIEWS, level.channels, *grids[level.name])
            for level in spec.levels
        }
    shares = {spec.name: 1.0 for spec in composition.learned}
    module = Distillation(student, recipe, shares).train()
    there = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    storages: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in there:
            storages[storage.data_ptr()] = (
                storage.nbytes(),
                tensor,
            )  # alive, so the place is its own
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(canvas, Targets(teachers, trunk), torch.rand(len(composition.learned), VIEWS))
    return sum(size for size, _ in storages.values())


@pytest.mark.parametrize(
    ("teachers", "recipe", "size"),
    [
        ("dino/nano,clip/nano,sam/nano,detector/nano,segmenter/nano", "levels", 96),
        ("dino/nano,clip/nano", "levels", 224),
        ("dino/nano,segmenter/nano", "dune", 64),
        ("dino/nano,segmenter/nano", "theia", 96),
    ],
)
def test_it_is_right_within_a_factor_of_two(teachers: str, recipe: str, size: int):
    flags = {"teachers": teachers, "recipe": recipe, "data.image_size": size}
    composition = compose(build_config(None, flags))
    estimate = activation_bytes(composition, VIEWS)
    assert estimate is not None
    measured = kept(composition, recipe)
    assert measured / 2 < estimate < 2 * measured


def test_it_follows_the_views_and_knows_what_it_cannot_tell():
    composition = compose(build_config(None, {"teachers": "dino/nano,clip/nano"}))
    costs = [summarize(composition, views=views)["cost"] for views in (1, 8)]
    assert [cost["activations_views"] for cost in costs] == [1, 8]
    assert costs[1]["activations_bytes"] == 8 * costs[0]["activations_bytes"] > 0
    for unknown in ({"student.model": "timm/resnet18"}, {"student.adapter": "lora"}):
        flags = {"teachers": "dino/nano,clip/nano", **unknown}
        whole = summarize(compose(build_config(None, flags)))
        assert whole["cost"]["activations_bytes"] is None
