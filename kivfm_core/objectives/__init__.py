"""Objectives: how far the student's latent coordinates are from the teachers'."""
