"""All of a run's configuration, and what its tables require of each other. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from kivfm_core.config.sections import (
    CacheConfig,
    CheckpointConfig,
    DataConfig,
    EngineConfig,
    OptimConfig,
    Place,
    StudentConfig,
    TeacherChoice,
)
from kivfm_core.data.remote.url import locate
from kivfm_core.recipes.table import RECIPES
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.students import find_bundle, student_name
from kivfm_core.run_files import STUDENT_STATE
from kivfm_core.spec import Record
from kivfm_core.trackers.table import TRACKERS


def get_student(name: str) -> Path | None:
    """The bundle of the student that a teacher's name stands for; None for another teacher's."""
    # Discovery is for names that may be either.
    return get_registry().find_student(name) if find_bundle(name) else None


class RunConfig(Record):
    """Everything that determines a run."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    seed: int = Field(default=0, ge=0)
    recipe: str = "kpu"
    log: tuple[str, ...] = ("tensorboard",)
    variant: str | None = None
    teachers: tuple[TeacherChoice, ...] = Field(min_length=1)
    weights: dict[str, Place] = Field(default_factory=dict, validate_default=True)
    student: StudentConfig = StudentConfig()
    data: DataConfig = DataConfig()
    optim: OptimConfig = OptimConfig()
    engine: EngineConfig = EngineConfig()
    cache: CacheConfig = CacheConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    def anchored(self) -> RunConfig:
        """The same with absolute paths, so that the run can be opened from anywhere."""
        data, cache, files = self.data, self.cache, self.weights
        if data.path is not None:
            data = data.model_copy(update={"path": str(locate(data.path).absolute())})
        if cache.path is not None:
            cache = cache.model_copy(update={"path": str(Path(cache.path).absolute())})
        weights = {name: str(Path(file).absolute()) for name, file in files.items()}
        teachers = tuple(
            choice.model_copy(update={"name": str(Path(choice.name).expanduser().absolute())})
            if get_student(choice.name) is not None
            else choice
            for choice in self.teachers
        )
        student = self.student.anchored()
        made = {
            "teachers": teachers,
            "data": data,
            "cache": cache,
            "weights": weights,
            "student": student,
        }
        return self.model_copy(update=made)

    @field_validator("weights")
    @classmethod
    def _students_bring_theirs(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        # So that the run finds them whatever becomes of the names: they lie in a folder.
        choices: tuple[TeacherChoice, ...] = info.data.get("teachers", ())
        bundles = [bundle for choice in choices if (bundle := get_student(choice.name))]
        own = {student_name(bundle): str(bundle / STUDENT_STATE) for bundle in bundles}
        return {**own, **value}

    @field_validator("cache")
    @classmethod
    def _there_is_something_to_cache(cls, value: CacheConfig, info: ValidationInfo) -> CacheConfig:
        data = info.data.get("data")
        if value.path is not None and data is not None and not data.views:
            raise ValueError(
                "only stored views are cached, and there are none; for example: data.views=4"
            )
        if value.encoding != "bf16" and data is not None and not data.views:
            raise ValueError("no views are stored that could be encoded; for example: data.views=4")
        return value

    @field_validator("recipe")
    @classmethod
    def _recipe_is_known(cls, value: str) -> str:
        if value not in RECIPES:
            raise ValueError(f"no recipe {value!r}; one of: {', '.join(RECIPES)}")
        return value

    @field_validator("log", mode="before")
    @classmethod
    def _one_word_is_a_list(cls, value: Any) -> Any:
        return _words(value) if isinstance(value, str) else value

    @field_validator("log")
    @classmethod
    def _trackers_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wanted = tuple(dict.fromkeys(name for name in value if name != "none"))
        if unknown := [name for name in wanted if name not in TRACKERS]:
            raise ValueError(f"no tracker {unknown[0]!r}; of these: {', '.join(TRACKERS)}; or none")
        return wanted

    @field_validator("teachers", mode="before")
    @classmethod
    def _names_are_choices(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = _words(value)
        if not isinstance(value, Sequence):
            raise ValueError("a list of names")
        return [{"name": item} if isinstance(item, str) else item for item in value]

    @field_validator("teachers")
    @classmethod
    def _some_teacher_counts(cls, value: tuple[TeacherChoice, ...]) -> tuple[TeacherChoice, ...]:
        if not any(choice.weight for choice in value):
            raise ValueError("every weight is 0, so there is nothing to learn")
        return value


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
