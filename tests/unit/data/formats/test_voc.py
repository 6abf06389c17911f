"""Pascal VOC's labels as tools write them, and XML that means harm."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kivfm_core.data.formats.coco import VOID
from kivfm_core.data.formats.voc import VocData, read_voc
from kivfm_core.errors import DataError

BOX = "<bndbox><xmin>2</xmin><ymin>1</ymin><xmax>4</xmax><ymax>3</ymax></bndbox>"
SIZE = "<size><width>6</width><height>4</height><depth>3</depth></size>"


def item(name: str, box: str = BOX, more: str = "") -> str:
    return f"<object><name>{name}</name>{more}{box}</object>"


def write(root: Path, stem: str, body: str, kind: str = "Annotations", images: str = "JPEGImages"):
    for folder in (kind, images):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / kind / f"{stem}.xml").write_text(f"<annotation>{body}</annotation>", encoding="utf-8")
    Image.new("RGB", (6, 4)).save(root / images / f"{stem}.jpg")


def read(path: Path) -> VocData:
    found = read_voc(path)
    assert found is not None
    return found


def test_pixels_count_from_one_and_the_last_one_is_inside(tmp_path: Path):
    write(tmp_path, "a", SIZE + item("dog"))
    data = read(tmp_path)
    assert data.classes == ("dog",)
    assert data.annotations[0][0]["bbox"] == [1.0, 0.0, 3.0, 3.0]
    assert not data.has_masks
    assert data.notes == ("images with boxes alone: 1 (first: a)",)


@pytest.mark.parametrize("kind", ["annotations", "."])
@pytest.mark.parametrize("images", ["images", "."])
def test_folders_of_other_tools(tmp_path: Path, kind: str, images: str):
    write(tmp_path, "a", SIZE + item("dog"), kind, images)
    assert read(tmp_path).paths[0].samefile(tmp_path / images / "a.jpg")


def test_an_image_of_another_stem_is_found_by_its_name(tmp_path: Path):
    write(tmp_path, "a", "<filename>C:\\photos\\B.jpg</filename>" + SIZE + item("dog"))
    (tmp_path / "JPEGImages/a.jpg").rename(tmp_path / "JPEGImages/b.jpg")
    data = read(tmp_path)
    assert data.paths[0].name == "b.jpg"
    assert any("stand otherwise" in note for note in data.notes)


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>"])
def test_a_size_that_is_not_given_is_the_image_s(tmp_path: Path, size: str):
    write(tmp_path, "a", size + item("dog"))
    assert read(tmp_path).size(0) == (4, 6)


def test_a_list_names_the_images(tmp_path: Path):
    for stem in "abc":
        write(tmp_path, stem, SIZE + item("dog"))
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    listed = tmp_path / "ImageSets/Main/val.txt"
    listed.write_text("c  1\na -1\nmissing\n")
    data = read(listed)
    assert [path.stem for path in data.paths] == ["a", "c"]
    assert "listed images without an annotation, passed over: 1 (first: missing)" in data.notes


def test_masks_difficult_objects_and_borders(tmp_path: Path):
    hard = item("cat", more="<difficult>1</difficult>")
    write(tmp_path, "a", SIZE + item("dog") + hard + item("dog"))
    write(tmp_path, "b", SIZE + item("dog"))
    write(tmp_path, "c", SIZE)
    values = np.zeros((4, 6), np.uint8)
    values[0, 0], values[1, 1], values[2, 2] = 1, 2, 255
    (tmp_path / "SegmentationObject").mkdir()
    Image.fromarray(values).save(tmp_path / "SegmentationObject/a.png")
    data = read(tmp_path)
    first, second, third = data.annotations[0]
    assert data.mask(0, first).nonzero() == (np.array([0]), np.array([0]))
    assert second["iscrowd"] == 1 and third["segmentation"] is None
    space = ("background", "dog", "cat")
    painted = data.semantic(0, space)
    assert painted[0, 0] == 1 and painted[1, 1] == VOID and painted[2, 2] == VOID
    assert (painted == 0).sum() == 21
    assert (data.semantic(1, space) == VOID).all(), "nobody knows where its objects are"
    assert (data.semantic(2, space) == 0).all(), "it shows nothing"
    assert data.pick([2, 0]).maps == (None, data.maps[0])


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (item("", BOX), "object 1: name is 'missing'"),
        (item("dog", ""), "object 1: xmin is 'missing'"),
        (item("dog", BOX.replace(">4<", ">four<")), "object 1: xmax is 'four'"),
        (item("dog", BOX.replace(">4<", ">nan<")), "object 1: xmax is 'nan'"),
        (item("dog", BOX.replace(">4<", ">0<")), "xmax or ymax is less than xmin or ymin"),
        (item("dog", more="<difficult>maybe</difficult>"), "difficult is 'maybe'"),
        ("<size><width>-1</width><height>4</height></size>", "its head: width is '-1'"),
        ("<object>", "is not XML: mismatched tag"),
        ("<a>" * 40 + "</a>" * 40, "nested too deeply"),
    ],
)
def test_wrong_records_are_named(tmp_path: Path, body: str, match: str):
    write(tmp_path, "a", body)
    with pytest.raises(DataError, match=match) as caught:
        read_voc(tmp_path)
    assert "a.xml" in caught.value.message


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;&b;&b;">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd">',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_are_refused(tmp_path: Path, head: str):
    write(tmp_path, "a", "")
    (tmp_path / "Annotations/a.xml").write_text(f"{head}<annotation>&b;</annotation>")
    with pytest.raises(DataError, match="has a document type"):
        read_voc(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path):
    write(tmp_path, "a", "")
    with (tmp_path / "Annotations/a.xml").open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(DataError, match="too large"):
        read_voc(tmp_path)


def test_names_lead_to_no_file_outside(tmp_path: Path):
    write(tmp_path / "voc", "a", "<filename>../../secret.jpg</filename>" + SIZE)
    write(tmp_path / "voc", "b", SIZE)
    (tmp_path / "voc/JPEGImages/a.jpg").rename(tmp_path / "secret.jpg")
    data = read(tmp_path / "voc")
    assert not data.paths[0].exists()
    assert "images that are not there: 1 (first: ../../secret.jpg)" in data.notes


def test_other_xml_is_no_voc(tmp_path: Path):
    (tmp_path / "settings.xml").write_text("<settings/>")
    assert read_voc(tmp_path) is None
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "settings.xml").rename(tmp_path / "Annotations/settings.xml")
    assert read_voc(tmp_path) is None


def test_a_map_of_another_size_is_refused(tmp_path: Path):
    write(tmp_path, "a", SIZE + item("dog"))
    (tmp_path / "SegmentationObject").mkdir()
    Image.new("L", (5, 5)).save(tmp_path / "SegmentationObject/a.png")
    with pytest.raises(DataError, match="its mask 5 x 5"):
        read_voc(tmp_path)
