"""Networks at work: measured on all images, drawn where they agree least and most."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_bundle import write_toy_bundle

from kivfm_core.config import RunConfig
from kivfm_core.errors import DataError, UsageError
from kivfm_core.reporting.figures.encode import encode
from kivfm_core.reporting.figures.make import make_gallery
from kivfm_core.reporting.gallery import Figure, Gallery
from kivfm_core.reporting.images import find_data
from kivfm_core.reporting.page import render_page, write_report
from kivfm_core.run_files import ENVIRONMENT, RunFiles

BASE, PURPOSE = "toybase/small", "toypurpose/small"


@pytest.fixture
def done(unfinished, composition, write) -> Path:
    """A run of toy teachers with a student, be it untrained."""
    write_toy_bundle(composition, unfinished.path / "student")
    write(ENVIRONMENT, {"weights": {}})
    return unfinished.path


@pytest.fixture
def gallery(done: Path, pictures: Path) -> Gallery:
    return make_gallery(done, pictures, limit=8)


def test_every_task_is_measured_on_every_image_and_drawn(gallery):
    assert (gallery.images, gallery.available, gallery.notes) == (8, 12, [])
    tasks = {(one.teacher, one.task): one for one in gallery.compared}
    assert set(tasks) == {(PURPOSE, "classification"), (PURPOSE, "semantic-segmentation")}
    one = tasks[PURPOSE, "semantic-segmentation"]
    assert len(one.scores) == 8 and one.metric == "pixels"
    shown = [pair.score for pair in (*one.worst, *one.best)]
    ranked = sorted(one.scores.values())
    assert shown == [*ranked[:2], *ranked[:-3:-1]]
    assert all(pair.score == one.scores[pair.name] for pair in (*one.worst, *one.best))
    assert "%" in one.worst[0].teacher.found and one.worst[0].name in one.worst[0].teacher.alt


def test_the_score_of_an_image_is_that_of_the_whole_where_it_is_alone(done, pictures):
    alone = make_gallery(done, pictures, limit=1)
    for one in alone.compared:
        assert [*one.scores.values()] == [pytest.approx(one.score)]


def test_features_and_neighbors_have_a_column_a_network(gallery):
    names = [f"{BASE} (base)", PURPOSE, "student"]
    assert [list(row.seen) for row in gallery.features] == [names] * 4
    assert [list(row.seen) for row in gallery.neighbors] == [names] * 4
    assert all(len(found) == 4 for row in gallery.neighbors for found in row.seen.values())
    for row in gallery.neighbors:
        assert all(row.name not in [one.alt for one in found] for found in row.seen.values())
    assert set(gallery.common) == set(names[:2])
    sizes = {one.image.size for one in gallery.features[0].seen["student"]}
    assert sizes == {one.image.size for one in gallery.features[0].seen[PURPOSE]}


def test_a_bundle_without_its_teachers_shows_the_student_alone(done, pictures):
    gallery = make_gallery(done / "student", pictures, limit=4)
    assert [[*row.seen] for row in gallery.features] == [["student"]] * 4
    assert len(gallery.notes) == 2 and "weights are not on this machine" in gallery.notes[0]


def test_a_teacher_whose_weights_are_gone_is_left_out_with_a_sentence(
    done, pictures, config: RunConfig, toys
):
    Path(toys[PURPOSE]).unlink()
    gallery = make_gallery(done, pictures, limit=4)
    assert not gallery.compared and f"{PURPOSE} is left out: " in gallery.notes[0]
    html = render_page(RunFiles(done), gallery)
    assert f"{PURPOSE} is left out" in html and "Nearest images" in html


def test_the_page_has_the_drawings_and_the_record_has_the_numbers(done, gallery):
    file = write_report(done, gallery=gallery)
    html = file.read_text(encoding="utf-8")
    assert html.count("<img ") == len([*gallery.figures()]) == html.count("data:image/webp;base64,")
    assert html.count('alt=""') == 0 and file.stat().st_size < 5_000_000
    record = json.loads((done / "report.json").read_text())
    assert record == json.loads(json.dumps(gallery.as_dict()))
    assert len(record["agreement"][0]["images"]) == 8 and "base64" not in json.dumps(record)


def test_without_images_or_a_student_there_are_none(done, pictures, unfinished):
    assert find_data(done) == pictures
    (done / "student/student.json").unlink()
    assert find_data(done) is None
    with pytest.raises(UsageError, match="no student yet"):
        find_data(done, pictures)


def test_no_images_is_an_error(done, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        make_gallery(done, tmp_path / "empty")
    with pytest.raises(UsageError, match="is a teacher"):
        make_gallery(BASE, tmp_path)


def test_many_figures_are_made_smaller_until_they_fit():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    figures = [Figure(Image.fromarray(noise), "noise", 200) for _ in range(6)]
    encode(figures, budget=60_000)
    assert sum(len(one.uri) for one in figures) <= 60_000 and figures[0].width < 200
    encode(figures, budget=10**9)
    assert figures[0].width == 300


def test_names_from_strangers_are_text_beside_drawings(done, gallery):
    evil = "<script>alert(1)</script>\"'><img src=//evil onerror=x>"
    one = gallery.compared[0].worst[0]
    one.teacher.alt = one.teacher.found = evil
    html = render_page(RunFiles(done), gallery)
    assert "<script>alert" not in html and "<img src=//" not in html
