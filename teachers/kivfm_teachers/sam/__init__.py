"""Segment Anything: masks from clicks."""
