"""What a run keeps to go on after a stop: checkpoints, and which settings may change."""
