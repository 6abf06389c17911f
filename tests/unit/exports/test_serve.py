"""The served example gives the boxes that kivfm gives."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from kivfm_core.exports.export import export
from kivfm_core.models.open import open_model
from kivfm_core.prediction.predict import predict
from kivfm_core.scenes.render import render

FILE = Path(__file__).parents[3] / "examples/serve.py"


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("serve") / "d.onnx"
    export("detector/nano", "onnx", file, task="detection")
    return file


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Of the canvas's own size, so that nobody's way of resizing matters."""
    Image.fromarray(render(3, 0, "flat").image).resize((112, 112)).save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


def load(detector: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DETECTOR", str(detector))
    spec = importlib.util.spec_from_file_location("serve", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def agree(found: list[dict[str, Any]], scene: Path) -> None:
    solver = open_model("detector/nano", "cpu").solver("detector/nano")
    right = predict(solver, scene, "detection", threshold=0.3).found
    found = [item for item in found if item["score"] >= 0.3]
    assert len(right) > 1 and [x["label"] for x in found] == [x["label"] for x in right]
    for mine, theirs in zip(found, right, strict=True):
        assert mine["score"] == pytest.approx(theirs["score"], abs=1e-3)
        assert mine["box"] == pytest.approx(theirs["box"], abs=0.1)


def test_its_boxes_are_kivfms(detector: Path, scene: Path, monkeypatch: pytest.MonkeyPatch):
    """Without FastAPI: something that has its names stands in for it."""

    class App:
        def __init__(self, **_: Any) -> None: ...

        def get(self, _: str) -> Any:
            return lambda function: function

        post = get

    web, threads = ModuleType("fastapi"), ModuleType("fastapi.concurrency")
    web.__dict__.update(FastAPI=App, HTTPException=Exception, Request=object)
    threads.__dict__.update(run_in_threadpool=None)
    monkeypatch.setitem(sys.modules, "fastapi", web)
    monkeypatch.setitem(sys.modules, "fastapi.concurrency", threads)
    serve = load(detector, monkeypatch)
    agree(serve.find(Image.open(scene)), scene)
    # Of a wide image the boxes are in its own pixels.
    wide = Image.open(scene).resize((448, 112))
    first, stretched = serve.find(Image.open(scene))[0], serve.find(wide)[0]
    assert stretched["box"][2] == pytest.approx(4 * first["box"][2], rel=0.1)


def test_a_client_gets_boxes(detector: Path, scene: Path, monkeypatch: pytest.MonkeyPatch):
    why = "pip install fastapi httpx"
    pytest.importorskip("fastapi", reason=why)
    pytest.importorskip("httpx", reason=why)
    from fastapi.testclient import TestClient

    client = TestClient(load(detector, monkeypatch).app)
    answer = client.post("/detect", content=scene.read_bytes())
    assert answer.status_code == 200
    agree(answer.json(), scene)
    assert client.get("/").json()["teacher"] == "detector/nano"
    assert client.post("/detect", content=b"no image").status_code == 415
    cut = io.BytesIO(scene.read_bytes()[:500])
    assert client.post("/detect", content=cut.getvalue()).status_code == 415
