"""Formats of labeled images: `coco`, `folder`, `labels` and `masks`, named in `table`.

The other files are what these share.
"""
