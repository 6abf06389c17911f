"""The page's routes: what they answer, to whom, and what they refuse in a sentence."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy_bundle import write_toy_bundle

from kivfm_core.composition.composition import Composition
from kivfm_core.data.unlabeled import find_images
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.playing import uploads
from kivfm_core.playing.session import Session

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from kivfm_core.playing.app import make_app

URL = "http://127.0.0.1:7860"


def client(model: Model, images: Path | None = None) -> TestClient:
    session = Session(model, None if images is None else find_images(images))
    return TestClient(make_app(session), base_url=URL, headers={"origin": URL})


@pytest.fixture
def model(composition: Composition, tmp_path: Path) -> Model:
    return open_model(write_toy_bundle(composition, tmp_path / "student"), "cpu")


@pytest.fixture
def page(model: Model, pictures: Path) -> TestClient:
    return client(model, pictures)


@pytest.fixture
def teacher_page(toys: dict[str, str]) -> TestClient:
    return client(open_model("toypurpose", "cpu", toys["toypurpose/small"]))


def file(width: int = 90, height: int = 60, kind: str = "PNG", **more: Any) -> bytes:
    content = io.BytesIO()
    Image.effect_noise((width, height), 80).convert("RGB").save(content, kind, **more)
    return content.getvalue()


def decoded(url: str) -> Image.Image:
    head, _, text = url.partition(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    return Image.open(io.BytesIO(base64.b64decode(text)))


def refused(answer: Any, code: int, *words: str) -> None:
    assert answer.status_code == code, answer.text
    (key,) = answer.json()
    assert key == "error" and "Traceback" not in answer.text
    for word in words:
        assert word in answer.json()["error"]


# The page


@pytest.mark.parametrize("path", ["/", "/play.js", "/style.css", "/icon.svg", "/model"])
def test_the_page_is_all_in_the_package_and_nothing_else_may_run(page: TestClient, path: str):
    answer = page.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "http://" not in answer.text.replace("http://www.w3.org/", "")
    assert "https://" not in answer.text


def test_no_script_or_style_stands_in_the_page(page: TestClient):
    text = page.get("/").text
    assert "<style" not in text and " style=" not in text and "onclick" not in text
    assert text.count("<script") == 1 and '<script src="play.js" type="module"></script>' in text


def test_what_the_page_is_built_from(page: TestClient, model: Model, pictures: Path):
    about = page.get("/model").json()
    assert about["student"] is True
    assert [t["name"] for t in about["teachers"]] == [spec.name for spec in model.specs]
    assert about["limits"]["pixels"] == uploads.MAX_PIXELS
    assert about["samples"] == [*find_images(pictures)]
    assert {task["name"] for task in about["tasks"]} == {
        solved.task for spec in model.specs for solved in spec.tasks
    }


def test_a_bundles_teachers_are_beside_it_only_where_their_weights_are(page: TestClient):
    for place, teacher in enumerate(page.get("/model").json()["teachers"]):
        assert teacher["absent"] == "its weights are not on this machine"
        if teacher["tasks"]:
            refused(page.post(f"/predict?sample=0&teacher={place}"), 400, "is not here")


# Images


def test_the_image_comes_back_upright_and_no_larger_than_the_page_needs(page: TestClient):
    turned = Image.Exif()
    turned[0x0112] = 6
    answer = page.post("/image", content=file(90, 60, "JPEG", exif=turned))
    assert Image.open(io.BytesIO(answer.content)).size == (60, 90)
    large = page.post("/image", content=file(3200, 100, "JPEG"))
    assert Image.open(io.BytesIO(large.content)).size == (uploads.LONG_SIDE, 50)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_common_formats_are_read(page: TestClient, kind: str):
    assert page.post("/image", content=file(kind=kind)).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "the file is empty"),
        (b"no image", "cannot be read as an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read as an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be read as an image"),
        (file()[:400], "cannot be read as an image"),
        (file(kind="JPEG")[:300], "cannot be read as an image"),
    ],
)
def test_what_is_no_image_is_said_in_a_sentence(page: TestClient, content: bytes, word: str):
    for path in ("/image", "/predict", "/features"):
        refused(page.post(path, content=content), 400, word)
    assert page.post("/image", content=file()).status_code == 200


@pytest.mark.parametrize("size", [(10000, 5000), (12000, 9000), (40000, 40000)])
def test_fifty_megapixels_and_bombs_are_refused_before_they_are_decoded(
    page: TestClient, size: tuple[int, int]
):
    content = io.BytesIO()
    Image.new("1", (8, 8)).save(content, "PNG")
    head = bytearray(content.getvalue())
    head[16:24] = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big")
    import zlib

    head[29:33] = zlib.crc32(bytes(head[12:29])).to_bytes(4, "big")
    refused(page.post("/image", content=bytes(head)), 400, "at most 40 million are taken")


def test_a_file_that_is_too_large_is_refused(page: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kivfm_core.playing.app.MAX_BYTES", 1000)
    refused(page.post("/image", content=b"x" * 1001), 400, "the file is too large")
    # Without a length that is known before.
    refused(page.post("/image", content=iter([b"x" * 600] * 3)), 400, "the file is too large")
    assert page.get("/model").status_code == 200


def test_images_to_choose_from_are_known_by_number_alone(page: TestClient):
    small = Image.open(io.BytesIO(page.get("/samples/0").content))
    assert small.format == "JPEG" and max(small.size) <= 160
    refused(page.get("/samples/999"), 400, "there is no image 999 here")
    refused(page.get("/samples/-1"), 400, "there is no image -1 here")
    for path in ("/samples/..%2f..%2fetc%2fpasswd", "/samples/a.png", "/..%2fsession.py"):
        answer = page.get(path)
        assert answer.status_code in (404, 422) and "error" in answer.json()
    refused(page.post("/predict?sample=999"), 400, "there is no image 999 here")


def test_a_name_with_a_terminals_commands_is_written_out(model: Model, tmp_path: Path):
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "a\x1b[31m<b>.png").write_bytes(file())
    assert client(model, folder).get("/model").json()["samples"] == ["'a\\x1b[31m<b>.png'"]


def test_a_sample_that_went_away_or_is_broken_is_a_sentence(page: TestClient, pictures: Path):
    first, second, *_ = (pictures / name for name in find_images(pictures))
    first.unlink()
    second.write_bytes(b"")
    refused(page.get("/samples/0"), 400, "cannot decode")
    refused(page.post("/predict?sample=1"), 400, "cannot decode")


# Results


def test_every_task_of_a_student_in_one_answer(page: TestClient, model: Model):
    answer = page.post("/predict?sample=0&threshold=0.5").json()
    every = [(t.task, spec.name) for spec in model.specs for t in spec.tasks]
    assert [(one["task"], one["teacher"]) for one in answer["results"]] == every
    for one in answer["results"]:
        assert one["lines"] and decoded(one["drawing"]).width > 0
    assert page.post("/predict", content=file()).json()["results"]
    assert page.post("/predict?sample=0&task=none").json()["results"] == []


def test_a_teacher_alone_has_a_page_too(teacher_page: TestClient):
    about = teacher_page.get("/model").json()
    assert about["student"] is False and about["samples"] == []
    assert teacher_page.post("/predict", content=file()).json()["results"]
    assert len(teacher_page.post("/features", content=file()).json()["results"]) == 1
    refused(teacher_page.post("/predict?sample=0"), 400, "there is no image 0 here")


def test_a_click_does_not_look_at_the_image_again(page: TestClient, model: Model):
    seen: list[Any] = []
    model.network.register_forward_pre_hook(lambda _, args: seen.append(args))
    for _ in range(3):
        page.post("/predict?sample=0")
    assert len(seen) == 1
    page.post("/predict?sample=1")
    assert len(seen) == 2


def test_features_as_colors(page: TestClient, model: Model):
    own = page.post("/features?sample=0").json()["results"]
    assert len(own) == 1 and decoded(own[0]["drawing"]).mode == "RGB"
    assert "cells" in own[0]["lines"][0]
    for place, teacher in enumerate(page.get("/model").json()["teachers"]):
        answer = page.post(f"/features?teacher={place}", content=file(90, 60))
        if teacher["dense"]:
            (one,) = answer.json()["results"]
            assert decoded(one["drawing"]).size == (480, 320)
        else:
            refused(answer, 400, "there are no dense features")


def test_two_users_at_once_get_their_own_results(page: TestClient):
    alone = [page.post(f"/predict?sample={i}").json()["results"] for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = [*pool.map(lambda i: page.post(f"/predict?sample={i}").json(), [*range(6)] * 2)]
    assert [one["results"] for one in found] == alone * 2


@pytest.mark.parametrize(
    ("query", "code", "word"),
    [
        ("threshold=nan", 422, "threshold"),
        ("threshold=2", 422, "threshold"),
        ("teacher=99", 400, "there is no teacher 99 here"),
        ("teacher=x", 422, "teacher"),
        ("point=9", 400, "no place in an image"),
        ("point=0.5,0.5,x", 400, "no place in an image"),
        ("point=1e9,0,1", 400, "no place in an image"),
        ("point=nan,0,1", 400, "no place in an image"),
        ("point=0.5,0.5,0", 400, "neither a click"),
        ("box=0.5,0.5,0.5,0.5", 400, "empty"),
        ("box=0.9,0.1,0.1,0.9", 400, "empty"),
        ("label=a&label=a", 400, "named twice"),
        ("&".join(["label=a"] * 300), 422, "label"),
        ("label=" + "a" * 300, 422, "label"),
        ("other=1", 422, "other"),
    ],
)
def test_odd_questions_are_answered_in_a_sentence(
    page: TestClient, query: str, code: int, word: str
):
    refused(page.post(f"/predict?sample=0&{query}"), code, word)


def test_a_model_that_fails_is_a_sentence_and_the_page_goes_on(
    page: TestClient, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("shapes\ndiffer")

    with monkeypatch.context() as patch:
        patch.setattr("kivfm_core.playing.session.solve", fail)
        refused(page.post("/predict?sample=0"), 500, "RuntimeError: shapes differ")
    assert page.post("/predict?sample=0").status_code == 200


# Strangers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7860", "", "[", "a@b:1"])
def test_another_name_for_this_machine_is_refused(page: TestClient, host: str):
    for answer in (
        page.get("/model", headers={"host": host}),
        page.post("/predict?sample=0", headers={"host": host, "origin": f"http://{host}"}),
    ):
        refused(answer, 403, "127.0.0.1")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "https://127.0.0.1:7860", "http://127.0.0.1:1"]
)
def test_another_sites_form_is_refused(page: TestClient, origin: str):
    refused(page.post("/predict?sample=0", headers={"origin": origin}), 403, "only this page")


def test_localhost_is_the_same_machine(page: TestClient):
    for host in ("localhost:7860", "[::1]:7860"):
        headers = {"host": host, "origin": f"http://{host}"}
        assert page.post("/predict?sample=0", headers=headers).status_code == 200


def test_other_paths_and_methods_are_a_sentence(page: TestClient):
    refused(page.get("/docs"), 404, "not found")
    refused(page.get("/openapi.json"), 404, "not found")
    refused(page.get("/predict"), 405, "method not allowed")
    refused(page.put("/image", content=file()), 405, "method not allowed")
