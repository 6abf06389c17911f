"""What features know of classes: k-NN and a linear probe."""
