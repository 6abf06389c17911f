"""A model in Python: features, predictions, canvases, the torch module, and a backbone."""
