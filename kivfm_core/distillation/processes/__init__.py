"""A run's devices and processes: starting them, and sharding what is trained."""
