"""Images at URLs: the same as in a folder here."""

from __future__ import annotations

import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from toy_pictures import write_pictures
from toy_tars import member, picture, tar_folder, write_tar
from toy_urls import ROOT, at_url, upload

import kivfm_core
from kivfm_core.config import build_config
from kivfm_core.data.members import open_at, size_at
from kivfm_core.data.named_images import find_named, is_one_file
from kivfm_core.data.remote.url import locate
from kivfm_core.data.unlabeled import check_images, find_images
from kivfm_core.errors import DataError, UsageError


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with at_url(tmp_path / "home", monkeypatch) as found:
        yield found


@pytest.fixture
def data(tmp_path: Path, store: MemoryFileSystem) -> Path:
    """Loose images, a whole tar and a tar that is cut off; here, and at `ROOT`."""
    here = write_pictures(tmp_path / "data/loose").parent
    tar_folder(here / "loose", here / "shards/0.tar")
    whole = (here / "shards/0.tar").read_bytes()
    (here / "shards/1.tar").write_bytes(whole[: len(whole) // 2])
    (here / "labels.json").write_text("{}")
    upload(store, here)
    return here


def test_images_at_a_url_equal_those_of_a_folder(data: Path):
    here, there = find_images(data), find_images(locate(ROOT))
    assert list(there) == list(here) and len(here) > 24
    for index, name in enumerate(here):
        assert np.array_equal(np.asarray(there.open(index)), np.asarray(here.open(index)))
        at = there.folder / name
        assert np.array_equal(np.asarray(open_at(at)), np.asarray(here.open(index)))
        assert size_at(at) == here.open(index).size
    (note,) = there.notes
    assert f"{ROOT}/shards/1.tar is damaged" in note
    assert pickle.loads(pickle.dumps(there)).fingerprint == there.fingerprint != here.fingerprint


def test_one_tar_and_one_image_are_data_too(data: Path):
    tar = find_images(locate(f"{ROOT}/shards/0.tar"))
    assert len(tar) == 12 and tar[0] == "0.tar/00.png" and str(tar.folder) == f"{ROOT}/shards"
    assert list(find_images(locate(f"{ROOT}/loose/00.png"))) == ["00.png"]


def test_a_tar_is_read_through_once(data: Path, monkeypatch: pytest.MonkeyPatch):
    before = find_images(locate(ROOT))
    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "open", None)
        assert find_images(locate(ROOT)).fingerprint == before.fingerprint


def test_the_fingerprint_changes_with_an_object(data: Path, store: MemoryFileSystem):
    before = find_images(locate(ROOT)).fingerprint
    store.pipe_file(f"{ROOT}/loose/00.png", picture(9))
    images = find_images(locate(ROOT))
    assert images.fingerprint != before
    assert images.open(0).getpixel((0, 0)) == (9, 9, 9)  # not what was kept
    write_tar(data / "new.tar", [member("a.png", picture(7))])
    store.pipe_file(f"{ROOT}/shards/0.tar", (data / "new.tar").read_bytes())
    tar = find_images(locate(f"{ROOT}/shards/0.tar"))
    assert [tar.open(index).getpixel((0, 0)) for index in range(len(tar))] == [(7, 7, 7)]


def test_a_lost_object_is_a_broken_image(data: Path, store: MemoryFileSystem):
    images = find_images(locate(ROOT))
    store.rm(f"{ROOT}/loose/00.png")
    with pytest.raises(DataError, match=f"cannot decode {ROOT}/loose/00.png: there is no such"):
        images.open(0)


def test_where_nothing_is_names_itself(store: MemoryFileSystem):
    for url in (ROOT, f"{ROOT}/a.tar", f"{ROOT}/a.png"):
        for look in (find_images, check_images):
            with pytest.raises(DataError, match=url):
                look(locate(url))
    store.pipe_file(f"{ROOT}/readme.txt", b"")
    store.pipe_file(f"{ROOT}/a.tar.gz", b"")
    with pytest.raises(DataError, match=f"no images in {ROOT}; {ROOT}/a.tar.gz is compressed"):
        find_images(locate(ROOT))


def test_commands_find_named_images_at_a_url(data: Path):
    named = find_named([ROOT])
    assert len(named.names) == len(find_images(locate(ROOT)))
    assert open_at(named.path("shards/0.tar/00.png")).mode == "RGB"
    assert is_one_file([f"{ROOT}/a.png"]) and not is_one_file([f"{ROOT}/a.tar"])
    assert not is_one_file([ROOT])
    with pytest.raises(UsageError, match="beside other places"):
        find_named([ROOT, data])


def test_commands_find_named_images_in_a_tar_here(data: Path):
    tar = data / "shards/0.tar"
    named = find_named([tar])
    assert named.names == tuple(find_images(tar)) and not is_one_file([tar])
    assert open_at(named.path("0.tar/00.png")).mode == "RGB"


def test_results_at_a_url_are_refused(tmp_path: Path):
    out = Path("s3://bucket/out.npz")
    works: list[Callable[[], object]] = [
        lambda: kivfm_core.embed("dino/nano", tmp_path, out),
        lambda: kivfm_core.predict_folder("detector/nano", tmp_path, "detection", out),
        lambda: kivfm_core.distill(build_config(None, {"teachers": "dino/nano"}), out=out),
    ]
    for work in works:
        with pytest.raises(UsageError, match=r"written to a disk, not at a URL: s3://bucket/out"):
            work()


@pytest.mark.parametrize("find", [find_images, lambda path: find_named([path])])
def test_a_command_that_reads_no_urls_says_so(find: Callable[[Path], object]):
    with pytest.raises(UsageError, match=r"read from a disk, not at a URL: s3://bucket/photos"):
        find(Path("s3://bucket/photos"))  # as a flag for a folder makes of it
    with pytest.raises(UsageError, match="may hold a secret"):
        find(Path("s3://KEY:SECRET@bucket/photos"))
