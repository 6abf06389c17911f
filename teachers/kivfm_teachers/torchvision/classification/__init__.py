"""Supervised classifiers."""
