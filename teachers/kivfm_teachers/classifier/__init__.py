"""Supervised classifiers, with their own head."""
