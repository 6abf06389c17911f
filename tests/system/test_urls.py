"""The commands on images that lie at a URL: in memory, and on a server that speaks S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from toy_pictures import write_pictures
from toy_tars import member, picture, tar_folder, write_tar
from toy_urls import ROOT, at_url, upload

from kivfm_cli import app
from kivfm_core.data.remote.fetch import fetcher

DISTILL = ("distill", "--teachers", "dino/nano,segmenter/nano", "--batch-size", "8",
           "--image-size", "64", "--set", "optim.calibration=16", "--steps", "3")  # fmt: skip


def write_data(folder: Path) -> Path:
    """Two tars, one of them with an image that is none, and a loose image."""
    tar_folder(write_pictures(folder / "pictures"), folder / "data/0.tar")
    write_tar(folder / "data/1.tar", [member("bad.png", b"no picture")])
    (folder / "data/loose.png").write_bytes((folder / "pictures/00.png").read_bytes())
    return folder / "data"


def test_names_in_a_tar_lead_nowhere(tmp_path: Path, capsys):
    names = ("../evil.png", "../../evil.png", "/evil.png", "good.png")
    tar = write_tar(tmp_path / "in/0.tar", [member(name, picture(9, 64)) for name in names])
    out = tmp_path / "out/labels"
    words = ["predict", "segmenter/nano", str(tar), "--task", "semantic-segmentation", "--draw"]
    assert app.main([*words, "-o", str(out)]) == 0
    assert "1 images labeled" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").rglob("*evil*")] == []
    assert [path.name for path in (out / "drawings").rglob("*.png")] == ["good.png"]


def students(run: Path) -> list[str]:
    """The losses of a run, step by step."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.dumps(json.loads(line)["loss"]) for line in lines]


def test_commands_take_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    data, run, cache = write_data(tmp_path), tmp_path / "run", str(tmp_path / "cache")
    with at_url(tmp_path / "home", monkeypatch) as store:
        upload(store, data)
        assert app.main([*DISTILL, "--data", ROOT, "--out", str(run)]) == 0
        assert "skipped, cannot be decoded: 1.tar/bad.png" in "".join(capsys.readouterr())
        assert f'path = "{ROOT}"' in (run / "config.toml").read_text()
        stored = ["--set", "data.views=1", "--set", f"cache.path={cache}", "--data", ROOT]
        assert app.main(["cache", "build", *DISTILL[1:5], *stored]) == 0

        capsys.readouterr()
        out = str(tmp_path / "features.npz")
        assert app.main(["embed", str(run), ROOT, "-o", out, "--json"]) == 0
        record = json.loads(capsys.readouterr().out)
        assert record["images"] == 13 and f"{ROOT}/1.tar at byte 512" in record["broken"][0]

        labels = tmp_path / "labels"
        words = ["predict", str(run), ROOT, "--task", "semantic-segmentation", "-o", str(labels)]
        for done in ("13 images labeled", "0 images labeled, 13 were labeled before"):
            assert app.main([*words, "--draw"]) == 0
            assert done in capsys.readouterr().out
        assert (labels / "drawings/0.tar/00.png").is_file()
        assert not (labels / "images").exists()  # they stay where they are
        one = ["predict", str(run), f"{ROOT}/loose.png", "--task", "semantic-segmentation"]
        assert app.main(one) == 0

        words = ["evaluate", str(run), "--agreement", "--data", f"{ROOT}/0.tar", "--limit", "4"]
        assert app.main(words) == 0
        assert json.loads((run / "evaluation.json").read_text())["data"] == [f"{ROOT}/0.tar"]
        capsys.readouterr()
        assert app.main(["evaluate", str(run), "--data", ROOT]) == 2
        assert "labels are read from a folder on a disk" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 2])
def test_a_student_is_the_same_from_a_url(tmp_path: Path, monkeypatch, workers: int):
    data = write_data(tmp_path)
    with at_url(tmp_path / "home", monkeypatch) as store:
        upload(store, data)
        more = ["--set", f"data.workers={workers}"]
        for name, place in (("here", str(data)), ("there", ROOT)):
            words = [*DISTILL, *more, "--data", place, "--out", str(tmp_path / name)]
            assert app.main(words) == 0
    assert students(tmp_path / "here") == students(tmp_path / "there")


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a server in this process, found and opened by the environment alone."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    fetcher.cache_clear()
    yield f"s3://photos-{port}"  # servers of one process share their buckets
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    fetcher.cache_clear()
    server.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_distill_from_a_bucket(tmp_path: Path, bucket: str, capsys, workers: int):
    system = fsspec.filesystem("s3", use_listings_cache=False)
    system.mkdir(bucket)
    system.put(str(write_data(tmp_path)), f"{bucket}/data", recursive=True)
    run = tmp_path / "run"
    words = [*DISTILL, "--set", f"data.workers={workers}", "--out", str(run)]
    assert app.main([*words, "--data", f"{bucket}/none"]) == 1
    assert f"there is nothing at {bucket}/none" in capsys.readouterr().err
    assert app.main([*words, "--data", f"{bucket}/data"]) == 0
    said = "".join(capsys.readouterr())
    assert "skipped, cannot be decoded: 1.tar/bad.png" in said
    stored = [file for file in run.rglob("*") if file.is_file()]
    assert not any(b"hidden-secret" in file.read_bytes() for file in stored)
    assert "hidden-secret" not in said
