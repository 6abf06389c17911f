"""Prediction: one image or many, one task; results, drawings and labels."""
