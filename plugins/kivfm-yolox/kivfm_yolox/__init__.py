"""YOLOX detectors as kivfm teachers."""
