"""Serves a detector that `kivfm export --format onnx --task detection` wrote. It needs no kivfm.

pip install fastapi uvicorn onnxruntime numpy pillow
DETECTOR=detector.onnx uvicorn serve:app
curl --data-binary @photo.jpg localhost:8000/detect
"""

import io
import json
import os

import numpy as np
import onnxruntime
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image, ImageOps

app = FastAPI(title="detector")
session = onnxruntime.InferenceSession(os.environ["DETECTOR"], providers=["CPUExecutionProvider"])
card = json.loads(session.get_modelmeta().custom_metadata_map["kivfm"])
size, rule = card["input"], card["suppression"]
if size["policy"] not in ("stretch", "letterbox", "letterbox-center"):
    raise SystemExit(f"canvases by {size['policy']} are not made here: export without --dynamic")


@app.get("/")
def about() -> dict:
    """Teachers, licenses, labels and the canvas of the model."""
    return card


@app.post("/detect")
async def detect(request: Request) -> list[dict]:
    """The objects of the image in the body: label, score, and box (xyxy) in its pixels."""
    try:
        opened = Image.open(io.BytesIO(await request.body()))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise HTTPException(415, f"no image that can be read: {error}") from error
    return await run_in_threadpool(find, image)


def find(image: Image.Image) -> list[dict]:
    """Makes the canvas, runs the model, and suppresses what overlaps, class by class."""
    fit = np.array([size["width"] / image.width, size["height"] / image.height])
    scale = fit if size["policy"] == "stretch" else fit.min().repeat(2)
    color = tuple(round(255 * part) for part in size["pad_value"])
    canvas = Image.new("RGB", (size["width"], size["height"]), color)
    shape = [max(1, round(side)) for side in scale * image.size]
    corner = (np.array(canvas.size) - shape) // 2 * (size["policy"] == "letterbox-center")
    resized = image.resize(shape, Image.Resampling[size["interpolation"].upper()])
    canvas.paste(resized, tuple(corner.tolist()))
    tensor = np.asarray(canvas, np.float32).transpose(2, 0, 1)[None] / 255
    boxes, scores = (found[0] for found in session.run(["boxes", "scores"], {"canvas": tensor}))
    kept = []
    for label, name in enumerate(card["labels"]):
        order = np.argsort(-scores[:, label])
        order = order[scores[order, label] > rule["threshold"]]
        while len(order):
            best, order = order[0], order[1:]
            box = ((boxes[best] - np.tile(corner, 2)) / np.tile(scale, 2)).tolist()
            kept.append({"label": name, "score": float(scores[best, label]), "box": box})
            order = order[overlap(boxes[best], boxes[order]) <= rule["iou"]]
    return sorted(kept, key=lambda found: -found["score"])[: rule["most"]]


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of a box `[4]` with boxes `[N, 4]`."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return both / (np.prod(box[2:] - box[:2]) + area - both + 1e-9)
