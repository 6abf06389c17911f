"""What stored answers depend on: a digest for each network that was asked. Torch-free."""

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
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.data import views
from kivfm_core.data.unlabeled import Images
from kivfm_core.registry.registry import get_registry
from kivfm_core.spec import Record, TeacherSpec
from kivfm_core.weights.fetch import file_sha256, obtain

VERSION = 1
"""Of the store, of what is asked of a trunk, and of the defaults that specs' fields have: raised
with every change of these. A new field, whose default is what was done before, is none."""

LIBRARIES = ("pillow", "torch", "torchvision", "timm", "open_clip_torch")
"""What decodes pictures and computes answers: another release says something else, a little."""

TRUNK = "trunk"
CANVAS = "canvas"
EXACT = "32-true"
"""The precision that goes without saying in a digest."""


def at(owner: str, side: int) -> str:
    """The name of what belongs to one size of the student's canvas: `trunk@224`."""
    return f"{owner}@{side}"


@dataclass(frozen=True)
class Owner:
    """Whose records: a teacher, the frozen trunk, or the student's canvas.

    Attributes:
        name: A teacher's name, `trunk@224` or `canvas@224`.
        facts: All that its records depend on; JSON.
    """

    name: str
    facts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of the facts, in hexadecimal."""
        text = json.dumps([self.name, self.facts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def encoding(self) -> Encoding:
        """How its records are kept."""
        return Encoding.of(self.facts)

    @property
    def folder(self) -> str:
        """Name of the folder of its records."""
        return f"{re.sub('[^A-Za-z0-9@._-]+', '--', self.name)}-{self.digest[:16]}"


def hash_weights(config: RunConfig, composition: Composition) -> dict[str, str]:
    """SHA-256 of the weights of all who are asked, by name; fetches those that are not here.

    Raises:
        WeightsError: If they cannot be had.
    """
    files = assign_weights(config.weights, composition.teachers)
    given = {name: Path(file) for name, file in files.items()}
    asked = [
        s
        for s in composition.teachers
        if s.name in (composition.base, *composition.teachers_to_run)
    ]
    variant = get_registry().offline_variant
    files_of = {spec.name: obtain(spec, given.get(spec.name), variant(spec)) for spec in asked}
    return {name: file_sha256(file) for name, file in files_of.items()}


def list_encodings(config: RunConfig, composition: Composition) -> dict[str, Encoding]:
    """How everyone's answers are kept, by name.

    What the base says enters the student, as at inference: it is kept as it is.
    """
    sides, wanted = composition.image_size, config.cache.encoding
    found = {at(CANVAS, side): Encoding("uint8") for side in sides}
    found |= {at(TRUNK, side): Encoding() for side in sides}
    for name in composition.teachers_to_run:
        narrowed = {p.level.name: p.latent for p in composition.of(name) if p.narrows}
        dtype = "int8" if wanted.endswith("int8") else "bfloat16"
        found[name] = Encoding(dtype, narrowed if wanted.startswith("latent") else {})
    return found


def list_owners(
    config: RunConfig,
    composition: Composition,
    hashes: Mapping[str, str],
    images: Images,
) -> dict[str, Owner]:
    """Everyone whose answers a run stores, by name.

    A digest holds what its own records depend on and nothing else, so that another teacher, or
    another size of the student's canvas, leaves the rest as it is.

    Args:
        config: The run's, its precision settled.
        composition: The student's plan.
        hashes: SHA-256 of the weights of all who are asked, by name.
        images: The pictures.
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
    how = list_encodings(config, composition)
    precision = {} if config.engine.precision == EXACT else {"precision": config.engine.precision}
    owners: list[Owner] = []
    for side in composition.image_size:
        mine = {"canvas": side, **shared}
        contract = _said(composition.trunk.input)
        owners.append(
            Owner(at(CANVAS, side), {"input": contract, **how[at(CANVAS, side)].facts, **mine})
        )
        if composition.adapter is not None and composition.base is not None:
            facts = _encoder(composition.trunk, hashes[composition.base]) | _taken(composition)
            facts |= how[at(TRUNK, side)].facts | precision
            owners.append(Owner(at(TRUNK, side), facts | mine))
    for spec in composition.teachers:
        if spec.name in composition.teachers_to_run:
            facts = _encoder(spec, hashes[spec.name]) | how[spec.name].facts | precision
            owners.append(Owner(spec.name, {**facts, "canvas": composition.side(spec), **shared}))
    return {owner.name: owner for owner in owners}


def _encoder(spec: TeacherSpec, sha256: str) -> dict[str, Any]:
    entry = get_registry().origin(spec)
    code = f"{entry.distribution} {entry.version}" if entry is not None else None
    said = _said(spec, "encoder", "config", "levels", "input")
    return {**said, "weights": sha256, "code": code}


def _taken(composition: Composition) -> dict[str, Any]:
    plan = _said(composition, "trunk_size", "x_level", "v_level")
    return {**plan, "taps": [_said(tap) for tap in composition.attachments]}


def _said(record: Record, *fields: str) -> dict[str, Any]:
    """What a record says in some of its fields, or in all; without what holds its default."""
    return record.model_dump(mode="json", include=set(fields) or None, exclude_defaults=True)
