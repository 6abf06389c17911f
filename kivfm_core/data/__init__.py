"""Images on disk, views, canvases, and sources of labeled images."""
