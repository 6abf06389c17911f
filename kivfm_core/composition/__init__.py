"""The plan of a student: its parts, their sizes, and what it costs. No weights are touched."""
