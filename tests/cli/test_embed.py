"""`kivfm embed` by hand: what it prints, its exit codes, its flags."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kivfm_cli.app import main
from kivfm_core.embedding.nearest import read_index


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        pixels = rng.integers(0, 255, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 80)).save(tmp_path / f"photos/{i}.png")
    (tmp_path / "photos/bad\n.png").write_bytes(b"no image")


def run(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    code = main([*line.split()])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_folder_then_a_search(capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "embed clip/nano photos -o f.npz --pool 2 --maps dense")
    first, last = out.splitlines()
    assert code == 0 and r"bad\n.png" in first and first.startswith("passed over: ")
    assert last == "written: f.npz: 4 images, global [96], dense [128, 2, 2]"
    assert read_index(Path("f.npz")).names == [f"photos/{i}.png" for i in range(4)]
    code, out, _ = run(capsys, "embed clip/nano f.npz --nearest 2 --query photos/3.png")
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["score", "file"]
    assert lines[1].split() == ["1.0000", "photos/3.png"] and len(lines) == 3
    code, out, _ = run(capsys, "embed clip/nano f.npz --nearest 9 --query disc --json")
    found = json.loads(out)
    assert found["schema"] == 1 and {hit["file"] for hit in found["hits"]} == {
        f"photos/{i}.png" for i in range(4)
    }


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "embed clip/nano photos -o f.safetensors --json")
    made = json.loads(out)
    assert code == 0 and made["images"] == 4 and len(made["broken"]) == 1
    assert made["manifest"]["model"] == "clip/nano" and made["manifest"]["sha256"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("embed clip/nano photos", "give either -o or --nearest"),
        ("embed clip/nano photos -o f.npz --nearest 3", "go together"),
        ("embed clip/nano photos -o f.txt", "does not end in one of .parquet, .npz"),
        ("embed clip/nano photos -o f.npz --maps Q", "has no map 'Q'"),
        ("embed clip/nano photos -o f.npz --teacher sam", "has no teacher 'sam'"),
        ("embed clip/nano f.npz g.npz --nearest 3 --query a", "takes one file of features"),
        ("embed nothing/such photos -o f.npz", "no teacher"),
    ],
)
def test_what_cannot_be_is_explained(capsys: pytest.CaptureFixture[str], line: str, said: str):
    code, out, err = run(capsys, line)
    assert code == 2 and said in err and not out
    assert [path.name for path in Path().iterdir()] == ["photos"]


def test_a_file_that_is_no_index(capsys: pytest.CaptureFixture[str]):
    Path("f.npz").write_bytes(b"PK")
    code, _, err = run(capsys, "embed clip/nano f.npz --nearest 3 --query photos/0.png")
    assert code == 1 and "f.npz holds no features" in err
