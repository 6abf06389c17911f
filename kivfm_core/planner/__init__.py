"""Plans a run before it starts: what is cached, where networks lie, what it costs. Torch-free."""
