"""Several processes of a run list what is at a URL once."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toy_pictures import write_pictures
from toy_urls import ROOT, at_url, upload

from kivfm_core.config import RunConfig
from kivfm_core.distillation.images import find_run_images
from kivfm_core.progress import Silent


def test_one_process_lists_a_url_for_all(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told: list[Any] = []

    def fabric(rank: int) -> Any:
        def broadcast(found: Any) -> Any:
            told.append(found)
            return told[0]

        return SimpleNamespace(
            is_global_zero=not rank,
            broadcast=broadcast,
            rank_zero_first=lambda local: nullcontext(),
        )

    data = config.data.model_copy(update={"path": ROOT})
    config = config.model_copy(update={"data": data})
    with at_url(tmp_path / "home", monkeypatch) as store:
        upload(store, write_pictures(tmp_path / "data"))
        first = find_run_images(config, fabric(0), Silent())
        store.store.clear()  # it would find nothing
        assert find_run_images(config, fabric(1), Silent()) is first
    assert len(first) == 12 and told[1] is None
