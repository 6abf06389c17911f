"""Several processes that work as one: launch, loss of one, signals, and shares of images."""
