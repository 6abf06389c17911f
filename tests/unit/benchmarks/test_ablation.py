"""The ablation's variants: one thing changed, and a command that kivfm takes."""

from itertools import pairwise
from pathlib import Path

from benchmarks.method.ablation import ablations
from benchmarks.method.budget import Size
from benchmarks.method.jobs import Job
from kivfm_core.compose import compose
from kivfm_core.config import build_config


def test_every_variant_is_another_composition_pool_or_recipe(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    for index in range(16):
        (pool / f"{index:02d}.jpg").touch()
    plain = Job("confirm", "kpu", 0, 2e-3, 0.02, 10, Size(128, 256), None)
    jobs = list(ablations(plain, pool, tmp_path))
    assert len({job.name for job in jobs}) == len(jobs) > 10
    made = []
    for job in jobs:
        sets = [f for word, f in pairwise(job.flags) if word == "--set"]
        recipe = [f for word, f in pairwise(job.flags) if word == "--recipe"]
        config = build_config(
            None,
            {"teachers": job.teachers, "data.path": job.pool, "data.image_size": 96,
             "recipe": (recipe or ["kpu"])[0]},
            ["student.width=128", *sets],
        )  # fmt: skip
        made.append((config.recipe, config.data.path, compose(config).model_dump_json()))
    assert len(set(made)) == len(made)
    pools = [Path(job.pool) for job in jobs if job.pool]
    assert [len(list(pool.iterdir())) for pool in pools] == [2, 4, 8]
