"""Devices and processes: launching, sharding, and stopping on a signal."""
