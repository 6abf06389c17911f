"""Figures for a page: a student's networks and its teachers' at work. Needs torch."""
