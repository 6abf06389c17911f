"""Without labels: each teacher's own predictions are the truth that its stand-in is scored by."""
