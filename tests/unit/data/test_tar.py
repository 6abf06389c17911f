"""Pictures in tars: where they lie, and that nothing in a tar leads anywhere else."""

from __future__ import annotations

import gzip
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_pictures import write_pictures
from toy_tars import member, picture, tar_folder, write_tar

from kivfm_core.data.tar_index import load_index
from kivfm_core.data.unlabeled import Images, find_images
from kivfm_core.errors import DataError


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of its own."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def colors(images: Images) -> dict[str, int]:
    """The id of each gray picture, and its color."""
    return {name: images.open(i).getpixel((0, 0))[0] for i, name in enumerate(images)}  # type: ignore[index]


def test_a_tar_equals_the_folder_that_it_unpacks_to(tmp_path: Path):
    folder = write_pictures(tmp_path / "unpacked/shard.tar").parent
    tar = tar_folder(folder / "shard.tar", tmp_path / "packed/shard.tar")
    files, shards, shard = map(find_images, (folder, tar.parent, tar))
    assert list(files) == list(shards) == list(shard) and len(files) == 12
    for i in range(12):
        assert np.array_equal(np.asarray(files.open(i)), np.asarray(shards.open(i)))
        assert files.open(i).mode == "RGB" == shards.open(i).mode


def test_files_and_tars_lie_side_by_side(tmp_path: Path):
    (tmp_path / "z.png").write_bytes(picture(1))
    write_tar(tmp_path / "b.tar", [member("x.png", picture(2)), member("x.json", b"{}")])
    write_tar(tmp_path / "more/A.TAR", [member("y/x.png", picture(3))])
    write_tar(tmp_path / "labels.tar", [member("x.cls", b"7")])
    images = find_images(tmp_path)
    assert colors(images) == {"z.png": 1, "b.tar/x.png": 2, "more/A.TAR/y/x.png": 3}
    again = pickle.loads(pickle.dumps(images))
    assert colors(again) == colors(images) and again.fingerprint == images.fingerprint


def test_names_lead_nowhere(tmp_path: Path):
    (tmp_path / "secret.png").write_bytes(picture(200))
    names = (
        "../secret.png", str(tmp_path / "secret.png"), "a/../../secret.png", "a\nb.png",
        "\x1b[2Jc.png", os.fsdecode(b"\xff.png"), 300 * "d/" + "d.png", "..png.png", "C:\\e.png",
    )  # fmt: skip
    place = tmp_path / "data"
    write_tar(place / "s.tar", [member(name, picture(i)) for i, name in enumerate(names)])
    assert colors(find_images(place)) == {f"s.tar/{name}": i for i, name in enumerate(names)}
    assert [path.name for path in place.iterdir()] == ["s.tar"]


def test_of_a_name_that_comes_twice_the_last_one_counts(tmp_path: Path):
    members = [member("a.png", picture(1)), member("./a.png", picture(2)), member("A.png")]
    images = find_images(write_tar(tmp_path / "s.tar", members))
    assert list(images) == ["s.tar/A.png", "s.tar/a.png"]
    assert images.open(1).getpixel((0, 0)) == (2, 2, 2)


def test_what_is_no_plain_member_is_passed_over(tmp_path: Path):
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)
    others = [member(f"{i}.png", type=kind, linkname="a.png") for i, kind in enumerate(kinds)]
    sparse = member("sparse.png", form=tarfile.GNU_FORMAT, type=tarfile.GNUTYPE_SPARSE)
    whole = member("a.png", picture(5))
    images = find_images(write_tar(tmp_path / "s.tar", [*others, sparse, whole]))
    assert colors(images) == {"s.tar/a.png": 5} and not images.notes


@pytest.mark.parametrize(
    ("size", "whole"),
    [(1, 0), (520, 0), (2049, 2), (2100, 2), (2568, 2), (2700, 3), (3072, 3), (5631, 5)],
)
def test_what_lies_before_a_cut_is_used(tmp_path: Path, size: int, whole: int):
    """Of five members of two blocks, a header and a picture of less than 100 bytes."""
    tar = write_tar(tmp_path / "s.tar", [member(f"{i}.png", picture(i)) for i in range(5)])
    tar.write_bytes(tar.read_bytes()[:size])
    (tmp_path / "z.png").write_bytes(picture())
    images = find_images(tmp_path)
    assert list(images) == ["z.png", *(f"s.tar/{i}.png" for i in range(whole))]
    (note,) = images.notes
    assert f"{tar} is damaged, the {whole} images before that are used: " in note


def test_what_lies_before_nonsense_is_used(tmp_path: Path):
    first = member("a.png", picture())
    backward = member("b.png", pax_headers={"size": "-1024"})
    for i, nonsense in enumerate((b"nonsense" * 64, backward)):
        images = find_images(write_tar(tmp_path / f"{i}.tar", [first, nonsense, first]))
        assert list(images) == [f"{i}.tar/a.png"] and len(images.notes) == 1


def test_a_picture_that_is_none_cannot_be_decoded(tmp_path: Path):
    tar = write_tar(tmp_path / "s.tar", [member("a.png"), member("b.png", b"no picture")])
    images = find_images(tar)
    for i in range(2):
        with pytest.raises(DataError, match="cannot decode"):
            images.open(i)
    tar.unlink()
    with pytest.raises(DataError, match="cannot decode"):
        images.open(0)


@pytest.mark.parametrize("suffix", [".tar.gz", ".TGZ", ".tar.zst"])
def test_a_compressed_tar_is_refused(tmp_path: Path, suffix: str):
    packed = tmp_path / f"my shard{suffix}"
    packed.write_bytes(gzip.compress(bytes(1024)))
    tool = "unzstd" if suffix == ".tar.zst" else "gunzip"
    for path in (packed, tmp_path):
        with pytest.raises(DataError, match="is compressed and passed over") as caught:
            find_images(path)
        assert caught.value.hint == f"{tool} '{packed}'"
    (tmp_path / "a.png").write_bytes(picture())
    assert len(find_images(tmp_path).notes) == 1


def test_what_holds_no_pictures_is_refused(tmp_path: Path):
    (tmp_path / "x.tar").write_bytes(gzip.compress(b"not a plain tar"))
    for path in (tmp_path, tmp_path / "x.tar"):
        with pytest.raises(DataError, match=r"no images in .*x.tar is damaged"):
            find_images(path)
    with pytest.raises(DataError, match="no folder or tar"):
        find_images(tmp_path / "none")


def test_a_tar_is_listed_once(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    tar = write_tar(tmp_path / "s.tar", [member(f"{i}.png", picture(i)) for i in range(3)])
    before = find_images(tar)
    (kept,) = home.rglob("*.npz")
    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "open", None)
        again = find_images(tar)
    assert colors(again) == colors(before) and again.fingerprint == before.fingerprint
    for damaged in (b"", kept.read_bytes()[:-40], b"x" + kept.read_bytes()[1:]):
        kept.write_bytes(damaged)
        assert colors(find_images(tar)) == colors(before)
    os.utime(tar, ns=(0, tar.stat().st_mtime_ns + 1))
    assert find_images(tar).fingerprint != before.fingerprint
    write_tar(tar, [member("new.png", picture(9))])
    assert colors(find_images(tar)) == {"s.tar/new.png": 9}


def test_a_home_that_cannot_be_written_to_is_no_matter(tmp_path: Path, home: Path):
    (home / "kivfm").write_text("a file, where a folder would be")
    tar = write_tar(tmp_path / "s.tar", [member("a.png", picture(3))])
    assert colors(find_images(tar)) == {"s.tar/a.png": 3}


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200)
FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(members=st.lists(st.tuples(NAMES, st.binary(max_size=600), FORMATS), max_size=6))
def test_it_finds_what_tarfile_reads(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, bytes, int]]
):
    packed = [member(f"{name}a.png", content, form) for name, content, form in members]
    tar = write_tar(tmp_path_factory.mktemp("tar") / "s.tar", packed)
    index, content = load_index(tar), tar.read_bytes()
    found = {
        index.names[i]: content[start : start + size]
        for i, (start, size) in enumerate(index.places.tolist())
    }
    with tarfile.open(tar) as file:
        read = {m.name.removeprefix("./"): file.extractfile(m).read() for m in file}  # type: ignore[union-attr]
    assert found == read and not index.damage
