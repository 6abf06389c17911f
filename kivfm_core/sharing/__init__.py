"""Sharing a student: what goes up to a model hub, and how."""
