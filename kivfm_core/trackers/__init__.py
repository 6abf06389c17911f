"""Trackers: programs and services that show a run's losses, one file for each."""
