"""How well features separate classes: k-NN and a linear probe."""
