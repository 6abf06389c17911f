"""Filling a cache before a run."""
