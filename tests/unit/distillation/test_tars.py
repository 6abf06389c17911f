"""Training on tars: the same batches as from the files in them, with any workers, cached too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cached import STEPS, Asked, batches, same, stream, with_cache
from toy_tars import member, picture, tar_folder, write_tar

from kivfm_core.config import RunConfig
from kivfm_core.errors import DataError


def with_data(config: RunConfig, path: Path, **more) -> RunConfig:
    data = config.data.model_copy(update={"path": str(path), **more})
    return config.model_copy(update={"data": data})


@pytest.fixture
def packed(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pictures as a tar, in a folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tar_folder(pictures, tmp_path / "packed/shard.tar").parent


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_tar_gives_the_batches_of_its_files(config: RunConfig, pictures: Path, packed: Path):
    files = shutil.copytree(pictures, packed.parent / "files/shard.tar").parent
    wanted = batches(with_data(config, files))
    for workers in (0, 1, 4):
        assert same(batches(with_data(config, packed, workers=workers)), wanted)
    assert stream(with_data(config, packed)).digest == stream(with_data(config, files)).digest


def test_a_cache_knows_a_tar_again(config: RunConfig, packed: Path, monkeypatch):
    asked = Asked(monkeypatch)
    config = with_cache(with_data(config, packed), packed.parent / "cache")
    first = batches(config)
    assert asked.since()["decoded"] == 24
    assert same(batches(config), first)
    assert set(asked.since().values()) == {0}
    tar_folder(packed.parent / "pictures/more", packed / "shard.tar")
    batches(config)
    assert asked.since()["decoded"] > 0


def test_bad_members_are_counted_as_bad_files_are(config: RunConfig, packed: Path, capsys):
    bad = [member(f"../{i}.png", b"no picture") for i in range(3)]
    fine = [member(f"{i}.png", picture(i, side=40)) for i in range(9)]
    write_tar(packed / "shard.tar", [*bad, *fine])
    assert len(batches(with_data(config, packed))) == STEPS
    assert "skipped, cannot be decoded: shard.tar/../" in capsys.readouterr().out
    with pytest.raises(DataError, match="more than the limit of 2"):
        batches(with_data(config, packed, bad_limit=2))
