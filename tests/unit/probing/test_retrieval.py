"""Retrieval: ranks by hand, and texts that are compared as they are."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image

import kivfm_core
from kivfm_core.errors import UsageError
from kivfm_core.probing.retrieval import image_ranks, text_ranks


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """Images of plain colors; each is called so, twice."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    colors = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230)}
    with (folder / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "text"])
        for name, color in colors.items():
            Image.new("RGB", (64, 48), color).save(folder / f"{name}.png")
            rows.writerow([f"{name}.png", f"{name} disc"])
            rows.writerow([f"{name}.png", f"a {name} square"])
    return folder


def test_ranks_are_how_many_are_nearer():
    owner = torch.tensor([0, 0, 1, 2])
    scores = torch.tensor([[9.0, 1, 5, 0], [2, 8, 7, 6], [1, 3, 4, 2]])
    assert text_ranks(scores, owner).tolist() == [0, 2, 0, 1]
    assert image_ranks(scores, owner).tolist() == [0, 1, 2]


def test_recall_equals_that_of_features_compared_by_hand(captions: Path):
    found = kivfm_core.probe("clip/nano", str(captions), protocols=["retrieval"], accelerator="cpu")
    metrics = [row.metric for row in found.rows]
    assert metrics[0] == "text to image, recall@1" and metrics[-1] == "image to text, recall@10"
    teacher = kivfm_core.load_teacher("clip/nano")
    names = ["red", "green", "blue"]
    files = [captions / f"{name}.png" for name in names]
    vectors = kivfm_core.load("clip/nano", accelerator="cpu").features(files, maps=False).vector
    texts = [text for name in names for text in (f"{name} disc", f"a {name} square")]
    embedded = teacher.decoders.part("zero-shot").embed(texts)  # the tower alone, no sentences
    similarity = torch.nn.functional.normalize(vectors, dim=1) @ embedded.T
    to_image = similarity.argmax(0) == torch.arange(3).repeat_interleave(2)
    to_text = similarity.argmax(1) // 2 == torch.arange(3)
    scores = {row.metric: row for row in found.rows}
    assert scores["text to image, recall@1"].score == to_image.double().mean()
    assert scores["image to text, recall@1"].score == to_text.double().mean()
    assert scores["text to image, recall@5"].score == 1  # of three images
    assert scores["text to image, recall@1"].chance == pytest.approx(1 / 3)
    assert scores["image to text, recall@1"].chance == pytest.approx(1 / 3)
    assert found.notes == () and found.rows[0].settings == {"texts": 6}


def test_a_tower_with_sentences_of_its_own_is_noted(
    captions: Path, monkeypatch: pytest.MonkeyPatch
):
    from kivfm_nano.clip import TextTower

    whole = TextTower.prompt
    monkeypatch.setattr(TextTower, "prompt", lambda self, labels: whole(self, labels))
    found = kivfm_core.probe("clip/nano", str(captions), protocols=["retrieval"], accelerator="cpu")
    (note,) = found.notes
    assert note.startswith("clip/nano puts every text into its sentences")


def test_what_has_no_text_tower_is_refused(captions: Path):
    with pytest.raises(UsageError, match="dino/nano does not solve zero-shot"):
        kivfm_core.probe("dino/nano", str(captions), protocols=["retrieval"], accelerator="cpu")
