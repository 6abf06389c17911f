from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import toy
from cached import Asked
from toy_pictures import write_pictures

from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig, build_config
from kivfm_core.registry.entry import Entry
from kivfm_core.registry.registry import Registry
from kivfm_core.spec import TeacherSpec


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes some toy teachers the ones that are installed."""

    def register(*specs: TeacherSpec) -> None:
        registry = Registry(tuple(Entry(spec.name, "kivfm", "1.0", spec=spec) for spec in specs))
        for module in (
            "cache.key",
            "config.run",
            "composition.choose_base",
            "composition.compose",
            "composition.composition",
            "distillation.state.resume",
            "models.open",
            "models.student_model",
            "registry.registry",
            "runs.changed_teachers",
            "student.bundle",
            "teacher",
        ):
            name = f"kivfm_core.{module}"
            monkeypatch.setattr(import_module(name), "get_registry", lambda: registry)

    return register


@pytest.fixture
def toys(register: Callable[..., None], tmp_path: Path) -> dict[str, str]:
    """The toy teachers are installed, and their weights files are here."""
    specs = (toy.BASE, toy.PURPOSE)
    register(*specs)
    files = {}
    for spec in specs:
        path = tmp_path / f"{spec.family}.safetensors"
        toy.save(spec, path)
        files[spec.name] = str(path)
    return files


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve small pictures of different shapes."""
    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def config(toys: dict[str, str], pictures: Path) -> RunConfig:
    flags = {
        "teachers": "toybase,toypurpose",
        "weights": toys,
        "data.path": str(pictures),
        "optim.steps": 6,
        "optim.batch_size": 4,
        "optim.calibration": 12,
        "optim.warmup": 2,
        "checkpoint.every": 2,
    }
    return build_config(None, flags)


@pytest.fixture
def composition(config: RunConfig) -> Composition:
    return compose(config)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Counts what frozen networks are asked."""
    return Asked(monkeypatch)
