"""Stopping and resuming: checkpoints, which settings may change, and a full disk."""
