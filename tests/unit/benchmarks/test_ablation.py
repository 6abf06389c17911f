"""The ablation's variants and the numbers of teachers: each is a command that kivfm takes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.method.ablation import ablations
from benchmarks.method.changed_recipes import CHANGED_RECIPES
from benchmarks.method.data import SuiteImages
from benchmarks.method.equal_parameters import WITHIN, Size, equal_size
from benchmarks.method.extra_teachers import DOMAINS, NAME, provide_extra_teachers
from benchmarks.method.jobs import Job, Place, commands
from benchmarks.method.joint import joint_parts, joint_recipes
from benchmarks.method.joint_kinds_plan import KINDS
from benchmarks.method.teacher_counts import teacher_counts
from kivfm_core.aligners.table import ALIGNERS, build_aligner
from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig, build_config
from kivfm_core.recipes.table import RECIPES
from kivfm_core.spec import Level

FLAGS = {"--teachers": "teachers", "--data": "data.path", "--recipe": "recipe"}
PLAIN = Job("confirm", "kpu", 0, 2e-3, 0.02, 10, Size(128, 256), None)
PARAMETERS = 1_663_772
OURS = replace(PLAIN, size=Size(128, 236))


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    for index in range(32):
        (folder / f"{index:02d}.jpg").touch()
    return folder


def make_config(job: Job, pool: Path) -> RunConfig:
    """As the job's command has it."""
    place = Place(SuiteImages(pool, pool, (), pool, pool), pool, ("engine.accelerator=cpu",))
    words = commands(job, place)[0]
    given = list(zip(words[1::2], words[2::2], strict=True))
    sets = [value for flag, value in given if flag == "--set"]
    flags: dict[str, object] = {FLAGS[flag]: value for flag, value in given if flag in FLAGS}
    sides = [value for flag, value in given if flag == "--image-size"][-1]
    flags["data.image_size"] = [int(side) for side in sides.split(",")]
    return build_config(None, flags, sets)


def test_every_variant_differs_from_all_others(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, recipe in CHANGED_RECIPES.items():
        monkeypatch.setitem(RECIPES, name, recipe)
    jobs = list(ablations(PLAIN, pool, tmp_path))
    assert len({job.name for job in jobs}) == len(jobs) > 10
    made = []
    for job in jobs:
        config = make_config(job, pool)
        assert config.engine.accelerator == "cpu"
        weights = tuple(choice.weight for choice in config.teachers)
        plan = compose(config).model_dump_json()
        made.append(
            (config.recipe, config.data, weights, plan, config.cache.encoding, config.optim)
        )
    assert sum(weights[0] == 0 for _, _, weights, *_ in made) == 1
    assert all(one not in made[:index] for index, one in enumerate(made))
    pools = [Path(job.pool) for job in jobs if job.pool]
    assert [len(list(pool.iterdir())) for pool in pools] == [4, 8, 16]


def test_adapters_inside_the_base_are_as_large_as_ours(pool: Path, tmp_path: Path) -> None:
    jobs = {job.variant: job for job in ablations(OURS, pool, tmp_path)}
    ours, *others = (
        compose(make_config(jobs[name], pool)).trainable
        for name in ("kpu", "bottlenecks inside the base", "lora inside the base")
    )
    assert others == [pytest.approx(ours, rel=WITHIN)] * 2


def test_parts_of_the_shared_space_are_as_large_as_ours(
    pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, recipe in CHANGED_RECIPES.items():
        monkeypatch.setitem(RECIPES, name, recipe)
    for name, kind in KINDS.items():
        monkeypatch.setitem(ALIGNERS, name, kind)

    def size(recipe: str) -> Size:
        return equal_size(recipe, PARAMETERS)

    jobs = [*joint_parts(OURS, size), *joint_recipes(replace(OURS, seed=1), size)]
    assert len({job.name for job in jobs}) == len(jobs) > 10
    for job in jobs:
        plan = compose(make_config(job, pool))
        assert plan.trainable == pytest.approx(PARAMETERS, rel=WITHIN)
        last = plan.aligners[-1]
        held = build_aligner(last).state_dict()
        assert sum(tensor.numel() for tensor in held.values()) == last.parameters


def test_a_level_comes_back_from_coordinates_of_the_fit_alone() -> None:
    level = Level(name="d", kind="dense", channels=6, stride=8)
    aligner = build_aligner(
        KINDS["joint-alone"](
            teacher="t/x", level=level, maps={"V": 4}, x_channels=4, hidden=3, latent=6, shared=4
        )
    )
    torch.manual_seed(0)
    for tensor in aligner.shared_map.buffers():
        tensor.copy_(torch.rand(tensor.shape) + 0.1)
    x = torch.randn(2, 6, 3, 3)
    assert aligner.to_latent(x).shape == (2, 10, 3, 3)
    assert torch.allclose(aligner.to_level(aligner.to_latent(x)), x, atol=1e-4)
    assert aligner.predict({"V": torch.randn(2, 4, 3, 3)}, (3, 3)).shape == (2, 10, 3, 3)


def test_there_are_two_to_eight_teachers_and_every_task_is_measured_once(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [*sys.path])
    weights = tmp_path / NAME / "weights"
    weights.mkdir(parents=True)
    for family, domain in DOMAINS.items():  # trained before
        (weights / f"{family}-{domain}.safetensors").touch()
    provide_extra_teachers(tmp_path)
    place = Place(SuiteImages(pool, pool, (), pool, pool), pool)
    measured = []
    for count, job in enumerate(teacher_counts(PLAIN), 2):
        assert len(compose(make_config(job, pool)).teachers) == count
        words = commands(job, place)[1]
        measured.append(words[words.index("--tasks") + 1].split(","))
    assert [len(tasks) for tasks in measured] == [3, 4, 5, 6, 6, 6, 6]
    assert all(len(set(tasks)) == len(tasks) for tasks in measured)
