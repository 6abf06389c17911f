"""Detectors with a feature pyramid."""
