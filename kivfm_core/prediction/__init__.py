"""Prediction: one image, one task, a drawing and a result."""
