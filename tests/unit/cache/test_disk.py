"""Training through a cache on disk: the same batches, and no output is computed twice."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from cached import STEPS, Asked, batches, same, stream, with_cache

from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.store import Store
from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import KivfmError
from kivfm_core.processes.interrupt import Interrupted
from kivfm_core.progress import Silent
from kivfm_core.student.bundle import load_student
from kivfm_core.teacher import LoadedTeacher

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


def test_batches_are_the_same_and_no_output_is_computed_twice(
    config: RunConfig, tmp_path: Path, asked: Asked
):
    memory = batches(with_cache(config, None))
    assert asked.since() == {"decoded": 24, "trunk": 24, "teacher": 24}
    disk = with_cache(config, tmp_path / "cache")
    assert same(memory, batches(disk))
    assert asked.since() == {"decoded": 24, "trunk": 24, "teacher": 24}
    assert same(memory, batches(disk))
    assert asked.since() == {"decoded": 0, "trunk": 0, "teacher": 0}
    # Cached and new outputs mix; a bad record is computed again with its whole batch.
    for path in (tmp_path / "cache").glob("trunk*/*"):
        path.unlink()
    assert same(memory, batches(disk))
    assert asked.since() == {"decoded": 24, "trunk": 24, "teacher": 0}
    [file] = (tmp_path / "cache").glob("toypurpose*/records-0000.bin")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 16
    file.write_bytes(data)
    assert same(memory, batches(disk))
    assert asked.since() == {"decoded": 4, "trunk": 0, "teacher": 4}
    assert same(memory, batches(disk)) and asked.since()["decoded"] == 0
    assert file.stat().st_size == len(data)


class StopAt(Silent):
    def step(self, info):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_resumed_run_computes_no_output(config: RunConfig, tmp_path: Path, asked: Asked):
    def lengthened(path: Path | None) -> RunConfig:
        made = with_cache(config, path, views=1)
        return made.model_copy(update={"optim": made.optim.model_copy(update={"steps": 13})})

    whole = distill(lengthened(None), out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        distill(lengthened(tmp_path / "cache"), out=tmp_path / "cut", progress=StopAt())
    asked.since()
    resumed = distill(resume=tmp_path / "cut")
    assert asked.since() == {"decoded": 0, "trunk": 0, "teacher": 0}
    left, right = load_student(whole).state_dict(), load_student(resumed).state_dict()
    assert all(torch.equal(left[k], right[k]) for k in left)
    logs = [(run / "metrics.jsonl").read_text().splitlines() for run in (whole, resumed)]
    losses = [[json.loads(line)["loss"] for line in log] for log in logs]
    assert losses[0][-1] == losses[1][-1]


def test_past_its_limit_a_cache_takes_no_more(
    config: RunConfig, tmp_path: Path, asked: Asked, capsys: pytest.CaptureFixture[str]
):
    memory = batches(with_cache(config, None))
    asked.since()
    limited = with_cache(config, tmp_path / "cache", limit=5e-4)
    assert same(memory, batches(limited))
    assert capsys.readouterr().out.count("cache.limit is reached") == 1
    files = [f.stat().st_size for f in (tmp_path / "cache").glob("*/records-*.bin")]
    assert 0 < sum(files) <= 5e-4 * 2**30
    assert 24 < asked.since()["decoded"] < 4 * STEPS + 1


def test_a_full_disk_is_named_with_its_remedy(config: RunConfig, tmp_path: Path, monkeypatch):
    put = Store.put

    def full(self: Store, places, records):
        if len(self) == 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(self, places, records)

    disk = with_cache(config, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", full)
        with pytest.raises(KivfmError, match="No space left on device") as caught:
            batches(disk)
    assert "kivfm cache" in caught.value.hint and "--resume" in caught.value.hint
    assert same(batches(with_cache(config, None)), batches(disk))


@pytest.mark.parametrize("encoding", ["bf16", "int8", "latent-bf16"])
def test_outputs_that_are_not_finite_are_not_cached(
    config: RunConfig, tmp_path: Path, monkeypatch, encoding: str
):
    encode = LoadedTeacher.encode

    def slipped(self: LoadedTeacher, images, frames):
        levels = encode(self, images, frames)
        levels["coarse"][1, 0, 0, 0] = float("nan")
        levels["fine"][2, 0, 0, 0] = float("inf")
        return levels

    made = with_cache(config, tmp_path / "cache", encoding=encoding)
    for path in (tmp_path / "cache", None):
        monkeypatch.setattr(LoadedTeacher, "encode", encode)
        fed = stream(with_cache(config, path, encoding=encoding))
        monkeypatch.setattr(LoadedTeacher, "encode", slipped)
        [(_, targets, _)] = fed.steps(0, 1)
        levels = targets.teachers["toypurpose/small"]
        fine = [
            bool(torch.stack([t[i].isfinite().all() for t in levels.values()]).all())
            for i in range(4)
        ]
        assert fine == [True, False, False, True]
        assert fed.cache is not None
        kept = [fed.cache.has("toypurpose/small", (image, 0)) for image in range(12)]
        assert sum(kept) == 2
    assert made.cache.encoding == encoding


def test_a_cache_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(KivfmError, match="cannot write to the cache"):
        DiskCache(tmp_path / "file", {})


def test_a_cache_that_is_removed_under_a_run_is_filled_anew(
    config: RunConfig, tmp_path: Path, asked: Asked
):
    disk = with_cache(config, tmp_path / "cache")
    whole = batches(disk)
    asked.since()
    going = stream(disk)
    found = []
    for step, (canvas, targets, _) in enumerate(going.steps(0, STEPS)):
        found.append({"canvas": canvas.clone(), **targets.named()})
        if step == STEPS // 2:
            for store in (tmp_path / "cache").iterdir():
                shutil.rmtree(store)
    assert same(whole, found)
    assert same(whole, batches(disk))
