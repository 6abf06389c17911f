"""What stored outputs depend on: a digest for each source of outputs. Torch-free."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kivfm_core.cache.encoding import Encoding
from kivfm_core.cache.output_source import OutputSource
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.data import views
from kivfm_core.data.unlabeled import Images
from kivfm_core.registry.registry import get_registry
from kivfm_core.spec import Record, TeacherSpec
from kivfm_core.weights.fetch import file_sha256, obtain

# Of the format of stores, of what is read from a trunk, and of the defaults of specs' fields, which
# digests leave out: raised with every change of these. A new field whose default means what was
# done before is no change.
VERSION = 1

# Libraries that decode images and run networks. Their versions can change outputs slightly, so they
# are part of the key.
LIBRARIES = ("pillow", "torch", "torchvision", "timm", "open_clip_torch")

# The precision that digests leave out.
EXACT = "32-true"


@dataclass(frozen=True)
class StoreKey:
    """Whose records a store holds, and what these depend on.

    Attributes:
        source: Key of the source of outputs: a teacher's name, `trunk@224` or `canvas@224`.
        facts: All that its records depend on; JSON.
    """

    source: str
    facts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of source and facts, in hexadecimal."""
        text = json.dumps([self.source, self.facts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def encoding(self) -> Encoding:
        """How its records are encoded."""
        return Encoding.of(self.facts)

    @property
    def folder(self) -> str:
        """Name of the folder of its records."""
        return f"{re.sub('[^A-Za-z0-9@._-]+', '--', self.source)}-{self.digest[:16]}"


def hash_weights(config: RunConfig, composition: Composition) -> dict[str, str]:
    """SHA-256 of the weights of all networks that a run needs, by teacher; fetches missing ones.

    Raises:
        WeightsError: If weights cannot be obtained.
    """
    files = assign_weights(config.weights, composition.teachers)
    given = {name: Path(file) for name, file in files.items()}
    names = (composition.base, *composition.teachers_to_run)
    needed = [spec for spec in composition.teachers if spec.name in names]
    variant = get_registry().offline_variant
    files_of = {spec.name: obtain(spec, given.get(spec.name), variant(spec)) for spec in needed}
    return {name: file_sha256(file) for name, file in files_of.items()}


def list_encodings(config: RunConfig, composition: Composition) -> dict[str, Encoding]:
    """How the outputs of each source are encoded, by its key.

    The trunk's outputs are inputs of the student, as at inference. So `cache.encoding` does not
    apply to them: they are always bfloat16.
    """
    encodings: dict[str, Encoding] = {}
    for side in composition.image_size:
        encodings[OutputSource.canvas(side).key] = Encoding("uint8")
        encodings[OutputSource.trunk(composition, side).key] = Encoding()
    wanted = config.cache.encoding
    for name in composition.teachers_to_run:
        narrowed = {p.level.name: p.latent for p in composition.of(name) if p.narrows}
        dtype = "int8" if wanted.endswith("int8") else "bfloat16"
        encodings[name] = Encoding(dtype, narrowed if wanted.startswith("latent") else {})
    return encodings


def list_store_keys(
    config: RunConfig,
    composition: Composition,
    hashes: Mapping[str, str],
    images: Images,
) -> dict[str, StoreKey]:
    """The keys of all stores that a run uses, by the key of their source.

    A digest covers what its own records depend on and nothing else, so that another teacher, or
    another size of the student's canvas, leaves the other stores valid.

    Args:
        config: The run's, its precision resolved.
        composition: The student's plan.
        hashes: SHA-256 of the weights of all networks that the run needs, by teacher.
        images: The training images.
    """
    shared = {
        "version": VERSION,
        "libraries": {name: ".".join(version(name).split(".")[:2]) for name in LIBRARIES},
        "views": {
            "version": views.VERSION,
            "seed": config.seed,
            "smallest": config.data.smallest,
            "whole": config.data.whole,
            **({"mosaic": config.data.mosaic} if config.data.mosaic else {}),
        },
        "pictures": {"number": len(images), "fingerprint": images.fingerprint},
    }
    encodings = list_encodings(config, composition)
    precision = {} if config.engine.precision == EXACT else {"precision": config.engine.precision}
    keys: dict[str, StoreKey] = {}

    def add(source: OutputSource, facts: Mapping[str, Any]) -> None:
        everything = {**facts, **encodings[source.key].facts, "canvas": source.side, **shared}
        keys[source.key] = StoreKey(source.key, everything)

    for side in composition.image_size:
        add(OutputSource.canvas(side), {"input": _fields(composition.trunk.input)})
        if composition.adapter is not None and composition.base is not None:
            encoder = _encoder(composition.trunk, hashes[composition.base])
            trunk = {**encoder, **_read_from_trunk(composition), **precision}
            add(OutputSource.trunk(composition, side), trunk)
    for spec in composition.teachers:
        if spec.name in composition.teachers_to_run:
            facts = {**_encoder(spec, hashes[spec.name]), **precision}
            add(OutputSource.teacher(composition, spec), facts)
    return keys


def _encoder(spec: TeacherSpec, sha256: str) -> dict[str, Any]:
    entry = get_registry().origin(spec)
    code = f"{entry.distribution} {entry.version}" if entry is not None else None
    fields = _fields(spec, "encoder", "config", "levels", "input")
    return {**fields, "weights": sha256, "code": code}


def _read_from_trunk(composition: Composition) -> dict[str, Any]:
    fields = _fields(composition, "trunk_size", "x_level", "v_level")
    return {**fields, "taps": [_fields(source) for source in composition.reads]}


def _fields(record: Record, *names: str) -> dict[str, Any]:
    """Some fields of a record, or all; without those that hold their default."""
    return record.model_dump(mode="json", include=set(names) or None, exclude_defaults=True)
