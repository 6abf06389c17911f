"""`kivfm cache`: filled ahead of a run, one network after another; listed, checked, removed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from cached import Asked, batches, same, with_cache

from kivfm_cli.app import main
from kivfm_core.cache.meta import used_bytes
from kivfm_core.config import RunConfig, dump_config
from kivfm_core.distillation.cache_build import build as module
from kivfm_core.distillation.cache_build import estimate as estimated
from kivfm_core.distillation.cache_build.build import build
from kivfm_core.errors import KivfmError
from kivfm_core.planner.placement import Machine
from kivfm_core.progress import Silent
from kivfm_core.teacher import LoadedTeacher


class Cut(Silent):
    """Interrupts after some views."""

    def step(self, info):
        if info["step"] >= 32:
            raise KeyboardInterrupt


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def test_a_built_cache_is_all_that_a_run_asks(
    config: RunConfig, tmp_path: Path, asked: Asked, monkeypatch
):
    here: list[weakref.ref] = []
    load = module.load

    def loaded(*args):
        assert not any(ref() for ref in here), "two networks at once"
        teacher = load(*args)
        here.append(weakref.ref(teacher))
        return teacher

    monkeypatch.setattr(module, "load", loaded)
    memory = batches(with_cache(config, None))
    asked.since()
    cache = tmp_path / "cache"
    disk = with_cache(config, cache)
    with pytest.raises(KeyboardInterrupt):
        build(disk, Cut())
    before, said = used_bytes(cache), Said()
    shares = {share.name: share for share in build(disk, said)}
    assert before > 0 and shares["trunk"].views == 0 and shares["toypurpose/small"].views == 16
    assert used_bytes(cache) - before == sum(share.bytes for share in shares.values())
    assert "16 views to store" in said.lines[1]
    asked.since()
    assert same(memory, batches(disk))
    assert asked.since() == {"decoded": 0, "trunk": 0, "teacher": 0}
    assert not any(share.views for share in build(disk, Silent()))


def test_another_teacher_costs_its_own_records_only(
    config: RunConfig, tmp_path: Path, asked: Asked
):
    disk = with_cache(config, tmp_path / "cache")
    alone = disk.model_copy(update={"teachers": disk.teachers[:1], "weights": {
        "toybase/small": disk.weights["toybase/small"]}})  # fmt: skip
    build(alone, Silent())
    files = sorted((tmp_path / "cache").glob("*/*.bin"))
    before = [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    asked.since()
    shares = {share.name: share for share in build(disk, Silent())}
    assert shares["trunk"].views == 0 and shares["toypurpose/small"].views == 24
    assert before == [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    # Beside its 24 views, two batches of four to measure it.
    assert asked.since() == {"decoded": 32, "trunk": 0, "teacher": 32}


def test_a_gpu_is_asked_in_larger_batches_than_in_training(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    disk, seen = with_cache(config, tmp_path / "cache"), set[int]()
    encode = LoadedTeacher.encode

    def watched(self, images, frames):
        seen.add(len(images))
        return encode(self, images, frames)

    with monkeypatch.context() as patch:
        patch.setattr(LoadedTeacher, "encode", watched)
        patch.setattr(module, "find_machine", lambda device: Machine("cuda", 2**40))
        said = Said()
        shares = build(disk, said)
    assert {share.batch for share in shares} == {64} and "64 at once on cpu" in said.lines[1]
    assert seen == {12}  # as many as there are, in whole batches of training
    assert {share.views for share in shares} == {24}
    for a, b in zip(batches(disk), batches(with_cache(config, None)), strict=True):
        # Half a unit of bfloat16's last place, where a last bit decides the rounding.
        assert all(torch.allclose(a[k], b[k], rtol=2**-7, atol=1e-4) for k in a)


def test_the_views_that_an_encoding_is_fitted_on_take_their_time(
    config: RunConfig, tmp_path: Path, asked: Asked, monkeypatch
):
    # A clock that counts the views that the teacher runs on.
    monkeypatch.setattr(estimated.time, "perf_counter", lambda: float(asked.counts["teacher"]))
    student = config.student.model_copy(update={"latent": 8})
    narrow = config.model_copy(update={"student": student})
    for encoding, first in (("latent-int8", 12), ("int8", 0)):
        disk, said = with_cache(narrow, tmp_path / encoding, encoding=encoding), Said()
        (share,) = (s for s in build(disk, said) if s.name == "toypurpose/small")
        assert (share.views, share.first, share.seconds) == (24, first, 24 + first)
        assert ("12 before them to fit its encoding on" in said.lines[1]) == bool(first)
    again = with_cache(narrow, tmp_path / "latent-int8", views=3, encoding="latent-int8")
    (share,) = (s for s in build(again, Silent()) if s.name == "toypurpose/small")
    assert (share.views, share.first, share.seconds) == (12, 0, 12)


def test_what_does_not_fit_is_refused_before_it_is_written(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    with pytest.raises(KivfmError, match=r"needs 0.00\d+ GiB.*left of cache.limit") as caught:
        build(with_cache(config, tmp_path / "cache", limit=1e-4), Silent())
    assert "data.views" in caught.value.hint
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(KivfmError, match="0 GiB are free"):
        build(with_cache(config, tmp_path / "cache"), Silent())
    assert used_bytes(tmp_path / "cache") == 0


USING = """
import sys, time
from pathlib import Path
from kivfm_core.cache.in_use import Use
use = Use(Path(sys.argv[1]))
print("using", flush=True)
time.sleep(60)
"""


def test_the_commands(config: RunConfig, tmp_path: Path, capsys):
    def kivfm(*words: str) -> tuple[int, str]:
        code = main(["cache", *map(str, words)])
        return code, capsys.readouterr().out

    def stores() -> dict[str, dict]:
        code, out = kivfm("info", cache, "--json")
        found = json.loads(out)
        assert code == 0 and found["schema"] == 1
        return {store["owner"]: store for store in found["stores"]}

    cache = str(tmp_path / "cache")
    file = tmp_path / "run.toml"
    file.write_text(dump_config(with_cache(config, tmp_path / "cache", views=1)))
    assert kivfm("build", "--config", file, "--dry-run")[0] == 0 and used_bytes(Path(cache)) == 0
    code, out = kivfm("build", "--config", file, "--json")
    told = json.loads(out)
    assert code == 0 and told["schema"] == 1 and told["cache"] == cache and told["bytes"] > 0
    for network, name in zip(told["networks"], ("trunk", "toypurpose/small"), strict=True):
        assert (network["name"], network["batch"], network["device"]) == (name, 4, "cpu")
        assert network["views"] == 12
    assert stores().keys() == {"canvas@64", "trunk@64", "toypurpose/small"}
    assert stores()["toypurpose/small"]["records"] == 12
    assert "toypurpose/small" in kivfm("info", cache)[1]
    assert kivfm("verify", cache)[0] == 0
    records = Path(cache) / stores()["trunk@64"]["store"] / "records-0000.bin"
    records.write_bytes(records.read_bytes()[:-5])
    code, out = kivfm("verify", cache, "--json")
    bad = {store["owner"]: store["bad"] for store in json.loads(out)["stores"]}
    assert code == 1 and bad == {"canvas@64": 0, "trunk@64": 1, "toypurpose/small": 0}

    assert kivfm("prune", cache)[0] == 2
    assert "removed: 0 stores" in kivfm("prune", cache, "--keep", file)[1]
    assert "removed: 0 stores" in kivfm("prune", cache, "--older-than", "1")[1]
    Path(config.weights["toypurpose/small"]).write_bytes(b"others")
    code, out = kivfm("prune", cache, "--keep", file, "--json")
    assert [store["owner"] for store in json.loads(out)["removed"]] == ["toypurpose/small"]
    assert stores().keys() == {"canvas@64", "trunk@64"}
    (Path(cache) / "mine").mkdir()
    (Path(cache) / stores()["trunk@64"]["store"] / "meta.json").write_text("no json")
    assert kivfm("verify", cache)[0] == 1 and "broken" in kivfm("info", cache)[1]
    # Neither what only has a store's name, nor what has more in it than a store.
    for name in ("photos-0123456789abcdef", "mine-0123456789abcdef"):
        (Path(cache) / name).mkdir()
        (Path(cache) / name / "a.jpg").write_text("precious")
    (Path(cache) / "mine-0123456789abcdef/meta.json").write_text("{}")
    assert kivfm("prune", cache, "--older-than", "-1")[0] == 2
    command = [sys.executable, "-c", USING, str(next(Path(cache).glob("canvas@64-*")))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None and user.stdout.readline() == b"using\n"
        out = kivfm("prune", cache, "--all", "--dry-run")[1]
        assert "would remove: 1 stores" in out and "a running process uses them: canvas@64" in out
        user.kill()
    assert "would remove: 2 stores" in kivfm("prune", cache, "--all", "--dry-run")[1]
    assert "removed: 2 stores" in kivfm("prune", cache, "--all")[1]
    assert {path.name for path in Path(cache).iterdir()} == {
        "mine", "photos-0123456789abcdef", "mine-0123456789abcdef",
    }  # fmt: skip
    assert kivfm("info", tmp_path / "nothing")[0] == 1
