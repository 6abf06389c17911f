"""Heads on one's own labels: a student's features compared with other frozen features."""
