"""Images on disk, views, canvases, label formats, and the procedural demo scenes."""
