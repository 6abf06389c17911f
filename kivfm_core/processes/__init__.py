"""Several processes that work as one: starting and ending them, signals, and images."""
