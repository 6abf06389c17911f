"""A run folder opened with its models: configuration, plan, teachers and student."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

from kivfm_core.composition.composition import Composition, read_composition
from kivfm_core.config import RunConfig, Strategy, build_config, dump_config
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.errors import UsageError, WeightsError
from kivfm_core.files import LOCK, write_text
from kivfm_core.run_files import UNTRAINED, RunFiles
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.bundle import list_packages, load_trained, read_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import LoadedTeacher, load_teacher
from kivfm_core.weights.loading import Provenance

# Their versions are recorded.
PACKAGES = ("kivfm", "torch", "torchvision", "timm", "open_clip_torch", "lightning-fabric", "numpy")


@dataclass(frozen=True)
class Run(RunFiles):
    """A run folder with the models that its files describe."""

    @cached_property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        # Earlier versions took Fabric's other strategies, and their runs can still be opened.
        engine = self.read_config().get("engine", {})
        known = engine.get("strategy") in get_args(Strategy)
        return build_config(self.config_file, {} if known else {"engine.strategy": "auto"})

    @cached_property
    def composition(self) -> Composition:
        """The student's plan."""
        return read_composition(self.path)

    @property
    def teachers(self) -> list[TeacherSpec]:
        """The specs of the run's teachers, in the order given."""
        return list(self.composition.teachers)

    @property
    def base(self) -> str | None:
        """Name of the base; None if the student was trained in full."""
        return self.composition.base

    @property
    def recorded_weights(self) -> dict[str, Any]:
        """Source and hash of every teacher's weights, by name, as the run recorded them.

        Raises:
            UsageError: If it recorded none, so that nothing tells whether weights are the same.
        """
        weights = self.environment.get("weights")
        if weights is None:
            raise UsageError(
                f"{self.environment_file} does not say which weights the run was made with",
                "put the file back as the run wrote it",
            )
        return weights

    @property
    def provenance(self) -> dict[str, Provenance]:
        """Where every teacher's weights were from, when they were loaded."""
        return {name: Provenance(**made) for name, made in self.recorded_weights.items()}

    @property
    def files(self) -> dict[str, str]:
        """The weights files that were given, by the teachers' full names."""
        return assign_weights(self.config.weights, self.teachers)

    def load_teacher(self, name: str) -> LoadedTeacher:
        """Loads one of the run's teachers, with the weights that the run used.

        Raises:
            WeightsError: If these weights cannot be had any more.
        """
        spec = next(spec for spec in self.teachers if spec.name == name)
        teacher = load_teacher(spec, self.files.get(name), described=self.composition_file)
        self.check_same(name, teacher.provenance)
        return teacher

    def check_same(self, name: str, found: Provenance | None) -> None:
        """Refuses weights that are not those the run was made with.

        Raises:
            WeightsError: If their hashes differ.
        """
        known = self.recorded_weights.get(name, {}).get("sha256")
        if found is not None and known not in (None, found.sha256):
            raise WeightsError(
                f"the weights of {name} ({found.source}) are not those of the run {self.path}",
                f"put the file with sha256 {known} back",
            )

    def changes(self, weights: Mapping[str, Provenance | None], images: str) -> list[str]:
        """What is not as the run began, a line each: teachers' weights, and images.

        Args:
            weights: The teachers' weights now.
            images: What `Stream.digest` gives for the images now.
        """
        known = self.recorded_weights
        lines = [
            f"weights of {name}: sha256 {known[name]['sha256']}, now {now.sha256}"
            for name, now in weights.items()
            if now is not None and name in known and known[name]["sha256"] != now.sha256
        ]
        before = self.environment.get("pictures", images)
        if before != images:
            # Digests keep the words of earlier runs; a reader gets today's.
            words = f"images: {before}, now {images}".replace(" pictures,", " images,")
            lines.append(words)
        return lines

    def load_student(self, untrained: bool = False) -> Student:
        """Loads the student, as it is at the end, or as it was before its first step."""
        student = read_bundle(self.bundle)
        if untrained:
            load_trained(student, self.checkpoints / UNTRAINED)
            student.forget(self.composition.frozen_teachers)
        return student

    def forget_plan(self) -> None:
        """Removes an earlier try's configuration, lest a kill leave it beside another plan."""
        self.config_file.unlink(missing_ok=True)

    def discard(self, folder: bool) -> None:
        """Removes the plan of a run that did not start.

        Args:
            folder: Whether the run's folder goes, too, if nothing else is in it.
        """
        for file in (self.config_file, self.composition_file):
            file.unlink(missing_ok=True)
        if folder:
            (self.path / LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                self.path.rmdir()

    def write_plan(self, config: RunConfig, composition: Composition) -> None:
        """Writes composition and configuration."""
        self.path.mkdir(parents=True, exist_ok=True)
        plan = json.dumps(composition.model_dump(mode="json"), indent=1)
        # The configuration comes last: a folder without it is no run yet.
        write_text(self.composition_file, plan)
        write_text(self.config_file, dump_config(config))

    def write_environment(
        self, seed: int, weights: Mapping[str, Provenance | None], **facts: Any
    ) -> None:
        """Writes versions, argv, seed, the weights that were loaded, and further facts."""
        environment = describe_environment(self.composition, seed, weights, **facts)
        write_text(self.environment_file, json.dumps(environment, indent=1))


def describe_environment(
    plan: Composition, seed: int, weights: Mapping[str, Provenance | None], **facts: Any
) -> dict[str, Any]:
    """What a run is made with, as `environment.json` says it.

    Args:
        plan: Its student's.
        seed: Its seed.
        weights: Where the weights of its teachers were from, when they were loaded.
        facts: Further facts.
    """
    return {
        "schema": 1,
        "argv": sys.argv,
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "distributions": list_packages(plan)["distributions"],
        "weights": {name: vars(p) for name, p in weights.items() if p is not None},
        **facts,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def open_run(path: str | Path) -> Run:
    """Opens a run folder.

    Raises:
        UsageError: If it is none.
    """
    run = Run(Path(path))
    _ = run.composition
    return run
