"""Heads on one's own labels: what a student's features are worth beside others'."""
