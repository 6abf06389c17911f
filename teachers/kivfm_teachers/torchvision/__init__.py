"""Classifiers, segmentation models and detectors of torchvision."""
