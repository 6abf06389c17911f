"""YOLOv8 detectors and instance segmenters as kivfm teachers."""
