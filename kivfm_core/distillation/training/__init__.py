"""The training loop and all that a step needs."""
