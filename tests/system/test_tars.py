"""The command line on a folder of tars, one of them cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_pictures import write_pictures
from toy_tars import member, tar_folder, write_tar

from kivfm_cli import app


def test_distill_from_tars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    shards, run = tmp_path / "shards", tmp_path / "run"
    whole = tar_folder(write_pictures(tmp_path / "pictures"), shards / "0.tar").read_bytes()
    (shards / "1.tar").write_bytes(whole[: len(whole) // 2])
    write_tar(shards / "2.tar", [member("/etc/bad.png", b"no picture")])
    words = ["distill", "--teachers", "dino/nano,segmenter/nano", "--data", str(shards),
             "--batch-size", "8", "--image-size", "64", "--set", "optim.calibration=16",
             "--steps", "3", "--out", str(run)]  # fmt: skip
    assert app.main(words) == 0
    told = "".join(capsys.readouterr())
    assert f"{shards / '1.tar'} is damaged, the " in told
    assert "skipped, cannot be decoded: 2.tar//etc/bad.png" in told
    *_, last = (run / "metrics.jsonl").read_text().splitlines()
    assert json.loads(last)["step"] == 3
    assert sorted(path.name for path in shards.iterdir()) == ["0.tar", "1.tar", "2.tar"]
