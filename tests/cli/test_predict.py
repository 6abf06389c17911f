"""`kivfm predict` on one image and on folders: what is written and said, and after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kivfm_cli import app
from kivfm_core.data.saving.saver import Saver

MODEL, TASK = "segmenter/nano", "semantic-segmentation"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        Image.effect_noise((64 + 32 * (number % 2), 64), 40).save(folder / f"{number}.png")
    return folder


def kivfm(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = app.main(["predict", MODEL, *words, "--task", TASK])
    return code, *capsys.readouterr()


def test_a_folder_is_labeled_and_a_second_call_goes_on(photos: Path, capsys: Any) -> None:
    (photos / "torn.jpg").write_bytes(b"no image")
    code, out, err = kivfm(capsys, "photos", "-o", "labels", "--draw")
    assert code == 0 and out.startswith("5 images labeled (")
    assert "left out: 1\n  cannot decode" in out and "torn.jpg" in out
    assert out.endswith("written: labels (masks)\n")
    assert "6/6  ETA 0:00" in err and "images/s" in err
    assert len([*Path("labels/semantic").glob("*.png")]) == 5
    assert len([*Path("labels/drawings").iterdir()]) == 5
    code, out, _ = kivfm(capsys, "photos", "-o", "labels", "--draw", "--json")
    told = json.loads(out)
    assert code == 0 and (told["schema"], told["images"], told["before"]) == (1, 0, 5)
    assert len(told["broken"]) == 1
    code, _, err = kivfm(capsys, "photos", "-o", "labels")
    assert code == 2 and "draw changed" in err and "hint: --overwrite" in err
    code, out, _ = kivfm(capsys, "photos", "-o", "labels", "--overwrite")
    assert code == 0 and out.startswith("5 images labeled")
    assert not Path("labels/drawings").exists()


def test_patterns_and_files(photos: Path, capsys: Any) -> None:
    code, out, _ = kivfm(capsys, "photos/[01].png", "photos/2.png", "-o", "labels")
    assert code == 0 and out.startswith("3 images labeled")
    code, out, _ = kivfm(capsys, "photos/2.png", "--save", "masks", "-o", "one")
    assert code == 0 and out.startswith("1 images labeled")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["photos"], 2, "need a folder"),
        (["nowhere/*.jpg", "-o", "out"], 1, "no images in nowhere/*.jpg"),
        (["photos", "gone", "-o", "out"], 1, "there is no gone"),
        (["gone", "-o", "out"], 1, "there is no gone\nhint: give an image, or a folder"),
        (["photos", "--save", "coco", "-o", "out"], 2, "coco cannot hold what semantic-seg"),
        (["photos", "--classes", "rin", "-o", "out"], 2, "there is no class 'rin'"),
        (["photos/0.png", "--classes", "rin"], 2, "did you mean ring"),
        (["broken", "-o", "out"], 1, "none of the 1 images could be labeled"),
    ],
)
def test_what_cannot_be_done_is_refused(
    photos: Path, capsys: Any, words: list[str], code: int, told: str
) -> None:
    Path("broken").mkdir()
    Path("broken/a.png").write_bytes(b"broken")
    found, _, err = kivfm(capsys, *words)
    assert found == code and told in err


def test_all_tasks_of_a_folder_are_refused_at_once(photos: Path, capsys: Any) -> None:
    for words in (["photos"], ["photos", "-o", "out"]):
        assert app.main(["predict", MODEL, *words, "--task", "all"]) == 2
        assert "all tasks are solved for one image at a time" in capsys.readouterr().err


def test_an_interrupted_command_says_so_and_goes_on(
    photos: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, add = list[str](), Saver.add

    def interrupted(self: Saver, image: Any) -> None:
        add(self, image)
        saved.append(image.file)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Saver, "add", interrupted)
    code, out, err = kivfm(capsys, "photos", "-o", "labels")
    assert (code, out) == (130, "") and err.endswith("error: interrupted\n")
    code, out, _ = kivfm(capsys, "photos", "-o", "labels")
    assert code == 0 and out.startswith("3 images labeled, 2 were labeled before")


def test_a_killed_command_goes_on(photos: Path, capsys: Any) -> None:
    for number in range(5, 300):
        os.link(photos / "0.png", photos / f"{number}.png")
    words = ["photos", "-o", "labels"]
    command = [sys.executable, "-m", "kivfm_cli.app", "predict", MODEL, *words, "--task", TASK]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    journal = Path("labels/.labels.jsonl")
    while running.poll() is None and not (journal.exists() and journal.stat().st_size > 2000):
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    done = len(journal.read_bytes().splitlines()) - 1
    code, out, _ = kivfm(capsys, *words, "--json")
    told = json.loads(out)
    assert code == 0 and told["images"] + told["before"] == 300 and told["before"] >= done - 1
    for path in Path("labels/semantic").glob("*.png"):
        with Image.open(path) as image:
            image.load()
    assert len([*Path("labels/semantic").glob("*.png")]) == 300
