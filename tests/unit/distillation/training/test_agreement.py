"""What teachers agree on: fitted alike by one process and by two, and compared with the student."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.training.agreement import Agreement
from kivfm_core.distillation.training.fit_shared import SharedCalibration, fit_aligners
from kivfm_core.distillation.training.hold import hold
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.layers.trunk_output import TrunkOutput
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders

BASE, PURPOSE = "toybase/small", "toypurpose/small"


@pytest.fixture
def student(config: RunConfig) -> Student:
    torch.manual_seed(0)
    made = Student(compose(config.model_copy(update={"recipe": "kpu-joint"}))).eval()
    made.decoders = {spec.name: Decoders(spec) for spec in made.composition.teachers}
    return made


def batch(seed: int, views: int = 3) -> Targets:
    """Levels that mix the same two factors at every place, and noise of their own."""
    torch.manual_seed(99)
    mixes = {c: torch.randn(2, c) for c in (24, 40, 48)}
    torch.manual_seed(seed)
    g = torch.randn(views, 2, 8, 8)

    def level(channels: int, side: int, scale: float) -> Tensor:
        seen = torch.nn.functional.interpolate(g, (side, side), mode="area")
        mixed = torch.einsum("bfhw,fc->bchw", seen, mixes[channels])
        return scale * (mixed + 0.1 * torch.randn(mixed.shape)) + 2

    levels = {"fine": level(24, 16, 50.0), "coarse": level(40, 4, 9.0)}
    levels["global"] = levels["coarse"].mean((2, 3))
    v = level(48, 8, 1.0)
    return Targets({PURPOSE: levels}, TrunkOutput(v.mean((2, 3)), v))


def alone(x: Tensor) -> Tensor:
    return x


def test_two_shards_fit_as_one(student: Student, config: RunConfig):
    batches = [batch(seed) for seed in range(6)]
    trips, shared = fit_aligners(student, batches, alone)
    one = {k: v.clone() for k, v in student.state_dict().items() if "shared" in k}
    halves = [SharedCalibration(student) for _ in range(2)]
    for half, part in zip(halves, (batches[:4], batches[4:]), strict=True):
        assert [*half.watch(part)] == part
    queue: list[Tensor] = []
    for half in halves:  # what each process would give to the sum, in the order of the calls
        queue += [torch.tensor(half.places.count), half.places.total, half.places.outer]
        queue += [torch.tensor(half.images.count), half.images.total, half.images.outer]
    calls = iter(range(6))
    again = halves[0].fit(lambda _: (i := next(calls), queue[i] + queue[i + 6])[1])
    assert again == shared and trips
    for key, value in one.items():
        assert torch.allclose(student.state_dict()[key], value, atol=1e-5), key


def test_planted_factors_are_what_is_shared(student: Student):
    _, shared = fit_aligners(student, [batch(seed) for seed in range(6)], alone)
    assert shared["eigenvalues"][1] > 2 > 1.5 > shared["eigenvalues"][2]
    assert shared["others"][PURPOSE] > 0.5
    assert set(shared["teachers"]) == {BASE, PURPOSE}
    assert set(shared["levels"]) == {
        *(f"{BASE}:{name}" for name in ("global", "dense")),
        *(f"{PURPOSE}:{name}" for name in ("global", "fine", "coarse")),
    }


def test_every_level_comes_back_from_its_two_parts(student: Student):
    fit_aligners(student, [batch(seed) for seed in range(6)], alone)
    targets = batch(7)
    for plan in student.composition.of(PURPOSE):
        aligner, level = student.aligner(PURPOSE, plan.level.name), targets.level(plan)
        latent = aligner.to_latent(level)
        z, p = aligner.shared_map.split(latent)
        back = aligner.to_level(aligner.shared_map.join(z, p))
        assert torch.allclose(back, level, rtol=1e-3, atol=1e-3 * float(level.std()))
        assert p.square().mean() > 0 and z.shape[1] == 64


def test_the_distance_is_to_what_is_agreed(student: Student):
    fit_aligners(student, [batch(seed) for seed in range(6)], alone)
    agreement, targets = Agreement(student), batch(8)
    agreed = agreement.target(targets)
    assert agreed[:, :2].square().mean() == pytest.approx(1, abs=0.2)
    right = {"Z": agreed, "z": agreed.mean((2, 3))}
    assert agreement.distance(right, targets).abs().max() < 1e-3
    nothing = {name: torch.zeros_like(x) for name, x in right.items()}
    assert agreement.distance(nothing, targets).mean() == pytest.approx(1.5, abs=0.4)


def learned(config: RunConfig) -> Student:
    torch.manual_seed(0)
    made = Student(compose(config.model_copy(update={"recipe": "kpu-joint-learned"}))).eval()
    made.decoders = {spec.name: Decoders(spec) for spec in made.composition.teachers}
    fit_aligners(made, [batch(seed) for seed in range(6)], alone)
    return made


def test_a_learned_space_starts_as_fitted_and_comes_back(student: Student, config: RunConfig):
    fit_aligners(student, [batch(seed) for seed in range(6)], alone)
    other, targets = learned(config), batch(7)
    assert torch.equal(Agreement(student).target(targets), Agreement(other).target(targets))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    for plan in other.composition.of(PURPOSE):
        aligner, level = other.aligner(PURPOSE, plan.level.name), targets.level(plan)
        z, p = aligner.shared_map.split(aligner.to_latent(level))
        back = aligner.to_level(aligner.shared_map.join(z, p))
        assert torch.allclose(back, level, rtol=1e-2, atol=1e-2 * float(level.std()))


def test_a_learned_space_that_collapses_is_held(config: RunConfig):
    student, targets = learned(config), batch(8)
    agreement = Agreement(student)
    agreement.whole = []  # too few images here to tell what global levels share
    fitted = hold(agreement, targets).item()
    assert fitted < 0.2
    maps = [agreement.aligner(plan).shared_map for plan in agreement.dense]
    kept = [m.into.detach().clone() for m in maps]
    with torch.no_grad():
        for m in maps:
            m.into.zero_()
    assert hold(agreement, targets).item() == pytest.approx(2, abs=0.02)
    with torch.no_grad():
        for m, into in zip(maps, kept, strict=True):
            m.into.copy_(into)
            m.out.zero_()
    assert hold(agreement, targets).item() == pytest.approx(1, abs=0.2)


def send_gradients(student: Student, recipe: str) -> None:
    """Those of the loss of one batch, without the decoders' part."""
    module = Distillation(student, recipe, {BASE: 0.5, PURPOSE: 0.5})
    module.recipe = module.recipe.model_copy(update={"readout": 0.0})
    canvas = torch.randn(3, 3, 64, 64)
    targets = batch(9)._replace(trunk=student.run_trunk(canvas))
    total, _ = module(canvas, targets, torch.zeros(2, 3))
    total.backward()


def test_every_learned_map_is_trained(config: RunConfig):
    student = learned(config)
    send_gradients(student, "kpu-joint-learned")
    maps = {n: p for n, p in student.named_parameters() if "shared_map" in n}
    assert len(maps) == 2 * len(student.composition.aligners)
    assert all(p.grad is not None and p.grad.any() for p in maps.values())


def test_gradients_reach_the_shared_head(student: Student):
    fit_aligners(student, [batch(seed) for seed in range(3)], alone)
    send_gradients(student, "kpu-joint")
    head = student.shared_head
    assert head is not None
    for projector in (head.places, head.image):
        assert projector.head.weight.grad is not None and projector.head.weight.grad.any()
