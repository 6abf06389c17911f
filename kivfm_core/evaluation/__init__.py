"""Evaluation: one code for teachers and stand-ins, against the teacher protocol alone."""
