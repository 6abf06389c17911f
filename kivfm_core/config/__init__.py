"""The configuration of a run: TOML in, checked by pydantic, unknown keys refused. Torch-free.

A flag beats `--set key=value`, which beats the file, which beats the defaults.
"""

from kivfm_core.config.read import build_config, dump_config, load_config
from kivfm_core.config.run import RunConfig
from kivfm_core.config.sections import (
    CacheConfig,
    CheckpointConfig,
    DataConfig,
    EngineConfig,
    LatentMap,
    OptimConfig,
    Strategy,
    StudentConfig,
    TeacherChoice,
)

__all__ = [
    "CacheConfig",
    "CheckpointConfig",
    "DataConfig",
    "EngineConfig",
    "LatentMap",
    "OptimConfig",
    "RunConfig",
    "Strategy",
    "StudentConfig",
    "TeacherChoice",
    "build_config",
    "dump_config",
    "load_config",
]
