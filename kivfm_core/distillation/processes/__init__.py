"""A run's devices and processes: launch and sharding."""
