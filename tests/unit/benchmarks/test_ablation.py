"""The ablation's variants: one thing changed, and a command that kivfm takes."""

from pathlib import Path

import pytest

from benchmarks.method.ablation import ablations
from benchmarks.method.budget import Size
from benchmarks.method.data import Pictures
from benchmarks.method.jobs import Job, Place, commands
from benchmarks.method.siblings import NAME, sibling_specs
from benchmarks.plugin import write_plugin
from kivfm_core.compose import compose
from kivfm_core.config import build_config
from kivfm_core.registry import get_registry

FLAGS = {"--teachers": "teachers", "--data": "data.path", "--recipe": "recipe"}


def test_every_variant_is_another_composition_pool_recipe_or_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(tmp_path / "siblings", NAME, sibling_specs())
    monkeypatch.syspath_prepend(str(tmp_path / "siblings"))
    get_registry.cache_clear()
    pool = tmp_path / "pool"
    pool.mkdir()
    for index in range(32):
        (pool / f"{index:02d}.jpg").touch()
    plain = Job("confirm", "kpu", 0, 2e-3, 0.02, 10, Size(128, 256), None)
    jobs = list(ablations(plain, pool, tmp_path))
    assert len({job.name for job in jobs}) == len(jobs) > 10
    place = Place(Pictures(pool, pool, (), pool, pool), tmp_path, ("engine.accelerator=cpu",))
    made = []
    for job in jobs:
        words, evaluating = commands(job, place)
        tasks = evaluating[evaluating.index("--tasks") + 1].split(",")
        assert len(set(tasks)) == len(tasks) >= len(job.teachers.split(",")[1:4])
        given = list(zip(words[1::2], words[2::2], strict=True))
        sets = [value for flag, value in given if flag == "--set"]
        flags = {flag: value for flag, value in given if flag in FLAGS}
        config = build_config(None, {FLAGS[flag]: value for flag, value in flags.items()}, sets)
        assert config.engine.accelerator == "cpu"
        weights = tuple(choice.weight for choice in config.teachers)
        plan = compose(config).model_dump_json()
        made.append((config.recipe, config.data.path, weights, plan, config.cache.encoding))
    assert {len(weights) for _, _, weights, *_ in made} == {2, 3, 4, 5, 6, 7, 8}
    assert sum(weights[0] == 0 for _, _, weights, *_ in made) == 1
    assert len(set(made)) == len(made)
    pools = [Path(job.pool) for job in jobs if job.pool]
    assert [len(list(pool.iterdir())) for pool in pools] == [4, 8, 16]
