"""Formats of labeled images, one file each."""
