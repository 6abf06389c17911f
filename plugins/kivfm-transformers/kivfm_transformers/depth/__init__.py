"""The task `depth`: predictions, labels, the meter and the drawing."""
