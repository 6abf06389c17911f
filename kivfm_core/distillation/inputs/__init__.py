"""What a training step gets: canvases, and the frozen networks' outputs for them."""
