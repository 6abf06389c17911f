"""Trains a head on a student's own features, for labels and classes of one's own."""
