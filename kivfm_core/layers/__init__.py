"""Small pieces of torch that networks here are made of."""
