"""What it is worth not to ask teachers twice."""
