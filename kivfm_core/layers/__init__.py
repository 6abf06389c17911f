"""Small pieces of torch that networks are made of, and helpers around running them."""
