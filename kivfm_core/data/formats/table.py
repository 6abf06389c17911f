"""The table of kivfm's own label formats. Tasks of plugins may bring others. Torch-free."""

from __future__ import annotations

from kivfm_core.data.formats.coco import COCO
from kivfm_core.data.formats.depth import DEPTH
from kivfm_core.data.formats.folder import FOLDER
from kivfm_core.data.formats.hugging_face import HF_CLASSES, HF_MASKS, HF_OBJECTS
from kivfm_core.data.formats.labels import LABELS
from kivfm_core.data.formats.masks import MASKS
from kivfm_core.data.formats.pairs import PAIRS
from kivfm_core.data.formats.rows import CSV, JSONL
from kivfm_core.data.formats.voc import VOC
from kivfm_core.data.formats.webdataset import WEBDATASET
from kivfm_core.data.formats.yolo import YOLO
from kivfm_core.task import LabelFormat

FORMATS: dict[str, LabelFormat] = {
    kind.name: kind
    for kind in (
        LABELS,
        FOLDER,
        MASKS,
        COCO,
        VOC,
        YOLO,
        CSV,
        JSONL,
        WEBDATASET,
        HF_CLASSES,
        HF_OBJECTS,
        HF_MASKS,
        PAIRS,
        DEPTH,
    )
}
