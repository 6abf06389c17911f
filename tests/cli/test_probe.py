"""`kivfm probe` by hand: what it prints, its exit codes, where it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kivfm_cli.app import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for part, number in (("train", 4), ("val", 3)):
        for place, name in enumerate(("blue", "red")):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for i in range(number):
                pixels = random.integers(0, 60, (40, 50, 3), dtype=np.uint8)
                pixels[..., 2 - 2 * place] += 180
                Image.fromarray(pixels).save(folder / f"{i}.png")


def run(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    code = main([*line.split()])
    out, err = capsys.readouterr()
    return code, out, err


PROBE = "probe dino/nano --train train --val val --accelerator cpu"


def test_a_table_then_the_same_as_json(capsys: pytest.CaptureFixture[str]):
    code, out, err = run(capsys, f"{PROBE} --protocol knn,knn-l2")
    head, *rows, last = out.splitlines()
    assert code == 0 and head.split()[:4] == ["protocol", "metric", "features", "score"]
    assert [row.split()[0] for row in rows] == ["knn", "knn-l2"]
    assert last == "written: probes/dino--nano/probe.json"
    assert "dino/nano: vectors" in err
    code, out, err = run(capsys, f"{PROBE} --json")
    found = json.loads(out)
    assert code == 0 and found["schema"] == 1 and found["out"] == "probes/dino--nano"
    assert [row["metric"] for row in found["rows"]] == ["k-NN top-1, k 8"]
    assert "vectors" not in err  # they are there
    assert len(json.loads(Path("probes/dino--nano/probe.json").read_text())["rows"]) == 2


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("probe dino/nano --val val", 2, "error: knn needs images to learn from\nhint: --train D"),
        (f"{PROBE} --protocol logistics", 2, "hint: did you mean logistic?"),
        ("probe dino/nano --train nowhere --val val", 1, "nowhere"),
        (f"{PROBE} --norm group", 2, "error: there is no norm 'group'"),
        (f"{PROBE} --protocol dense-linear", 1, "has nothing for semantic-segmentation"),
        ("probe dino/nano --train val --val val", 1, "6 images are in both val and val"),
        ("probe dino/nano --val val --protocol cka", 2, "hint: another model: --against MODEL"),
        ("probe none --train train --val val", 2, "none"),
    ],
)
def test_what_cannot_be_measured_is_said(
    capsys: pytest.CaptureFixture[str], line: str, code: int, said: str
):
    found, out, err = run(capsys, line)
    assert (found, out) == (code, "") and said in err
    assert not Path("probes").exists()


def test_cka_needs_no_labels(capsys: pytest.CaptureFixture[str]):
    line = "probe dino/nano --val train --protocol cka --against clip/nano -o out"
    code, out, _ = run(capsys, line)
    rows = out.splitlines()[1:]
    assert code == 0 and "dino/nano global, clip/nano global" in rows[0]
    assert rows[-1] == "written: out/probe.json"
