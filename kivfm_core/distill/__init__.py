"""The engine: from a configuration to a run folder."""

from kivfm_core.distill.engine import distill

__all__ = ["distill"]
