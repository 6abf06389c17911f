"""What a run keeps, what it asks anew, and what that costs, before it starts. Torch-free."""
