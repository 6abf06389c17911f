"""The run folder: what a distillation needs and made, and how it is opened again."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kivfm_core.bundle import UNTRAINED, load_trained, read_bundle
from kivfm_core.compose import Composition
from kivfm_core.config import RunConfig, build_config, dump_config
from kivfm_core.errors import UsageError
from kivfm_core.spec import TeacherSpec
from kivfm_core.student import Student
from kivfm_core.teacher import LoadedTeacher, load_teacher
from kivfm_core.weights import Provenance

PACKAGES = ("kivfm", "torch", "torchvision", "timm", "open_clip_torch", "lightning-fabric", "numpy")


@dataclass(frozen=True)
class Run:
    """A run folder on disk."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """The checkpoints' folder."""
        return self.path / "checkpoints"

    @property
    def bundle(self) -> Path:
        """The student's folder."""
        return self.path / "student"

    @cached_property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return build_config(self.path / "config.toml", {})

    @cached_property
    def composition(self) -> Composition:
        """The student's plan."""
        text = (self.path / "composition.json").read_text(encoding="utf-8")
        return Composition.model_validate(json.loads(text))

    @property
    def teachers(self) -> list[TeacherSpec]:
        """The specs of its teachers, in the order given."""
        return list(self.composition.teachers)

    @property
    def base(self) -> str | None:
        """Name of its base."""
        return self.composition.base

    def load_teacher(self, name: str) -> LoadedTeacher:
        """Loads one of the run's teachers, with the weights that the run used."""
        spec = next(spec for spec in self.teachers if spec.name == name)
        return load_teacher(spec, weights_for(spec, self.config))

    def load_student(self, untrained: bool = False) -> Student:
        """Loads the student, or what it was before its first step."""
        student = read_bundle(self.bundle)
        if untrained:
            load_trained(student, self.checkpoints / UNTRAINED)
        return student

    def write_plan(self, config: RunConfig, composition: Composition) -> None:
        """Writes configuration and composition."""
        self.path.mkdir(parents=True, exist_ok=True)
        plan = json.dumps(composition.model_dump(mode="json"), indent=1)
        (self.path / "config.toml").write_text(dump_config(config), encoding="utf-8")
        (self.path / "composition.json").write_text(plan, encoding="utf-8")

    def write_environment(
        self, seed: int, weights: Mapping[str, Provenance | None], **facts: Any
    ) -> None:
        """Writes versions, argv, seed, what was really loaded, and further facts."""
        environment = {
            "schema": 1,
            "argv": sys.argv,
            "seed": seed,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": {name: _version(name) for name in PACKAGES},
            "weights": {name: vars(p) for name, p in weights.items() if p is not None},
            **facts,
        }
        text = json.dumps(environment, indent=1)
        (self.path / "environment.json").write_text(text, encoding="utf-8")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def weights_for(spec: TeacherSpec, config: RunConfig) -> str | None:
    """The file given with `--weights` for a teacher, by any of its names.

    Raises:
        UsageError: If two were given for it.
    """
    names = {spec.name, *spec.aliases}
    files = [file for name, file in config.weights.items() if name in names]
    if len(files) > 1:
        raise UsageError(f"two weights files are given for {spec.name}", "give one")
    return files[0] if files else None


def check_weights(config: RunConfig, teachers: tuple[TeacherSpec, ...]) -> None:
    """Refuses `--weights` for a teacher that is not selected.

    Raises:
        UsageError: Naming it.
    """
    known = {name for spec in teachers for name in (spec.name, *spec.aliases)}
    for name in config.weights:
        if name not in known:
            chosen = ", ".join(spec.name for spec in teachers)
            raise UsageError(
                f"--weights {name}=...: no such teacher is selected", f"one of: {chosen}"
            )


def open_run(path: str | Path) -> Run:
    """Opens a run folder.

    Raises:
        UsageError: If it is none.
    """
    folder = Path(path)
    if not (folder / "composition.json").is_file():
        runs = sorted(str(p.parent) for p in folder.parent.glob("*/composition.json"))
        hint = f"one of: {', '.join(runs)}" if runs else "kivfm distill --out RUN makes one"
        raise UsageError(f"{folder} is no run folder", hint)
    return Run(folder)


def list_runs(folder: Path) -> list[Run]:
    """The runs in a folder, by name."""
    return [Run(path.parent) for path in sorted(folder.glob("*/composition.json"))]
