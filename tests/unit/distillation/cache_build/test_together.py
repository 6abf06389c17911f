"""`kivfm cache build` in two processes: the cache of one, each process its share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from apart import build_toys, together
from cached import with_cache

from kivfm_core.cache.meta import list_stores
from kivfm_core.config import RunConfig
from kivfm_core.distillation.cache_build.build import build
from kivfm_core.progress import Silent


class Cut(Silent):
    """Interrupts after some views."""

    def step(self, info):
        if info["step"] >= 8:
            raise KeyboardInterrupt


def records(cache: Path) -> dict[str, dict[tuple[int, int], bytes]]:
    """All that a cache holds, by store, image and view."""
    found: dict[str, dict[tuple[int, int], bytes]] = {}
    for folder, store in list_stores(cache):
        places = sorted(store.places)
        rows = store.read(places)
        found[folder.name] = {p: row.tobytes() for p, row in zip(places, rows, strict=True)}
    return found


@pytest.mark.parametrize("encoding", ["bf16", "latent-int8"])
def test_two_processes_fill_the_cache_of_one(config: RunConfig, tmp_path: Path, encoding: str):
    one, two = (
        with_cache(config, tmp_path / name, encoding=encoding).model_copy(
            update={"student": config.student.model_copy(update={"latent": 8})}
        )
        for name in ("one", "two")
    )
    build(one, Silent())
    with pytest.raises(KeyboardInterrupt):  # begun alone, gone on with in two
        build(two, Cut())
    both = two.model_copy(update={"engine": two.engine.model_copy(
        update={"devices": 2, "accelerator": "cpu"})})  # fmt: skip
    values = both.model_dump(by_alias=True, exclude_none=True)
    together(build_toys, values, str(tmp_path / "said"))
    expected = records(tmp_path / "one")
    assert len(expected) == 3 and all(len(store) == 24 for store in expected.values())
    assert records(tmp_path / "two") == expected
    shares = [json.loads((tmp_path / f"said-{rank}").read_text()) for rank in (0, 1)]
    # The first process measures beforehand, and may fit an encoding; both fill.
    assert all(sum(share) >= 12 for share in shares)
    assert {*shares[0], *shares[1]} <= {4, 12}  # the batches of a run, and all that is fitted on
