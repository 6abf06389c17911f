"""Mask R-CNN: detection and instance segmentation."""
