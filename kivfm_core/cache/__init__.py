"""What frozen networks said about a view, kept so that they are asked once."""

from kivfm_core.cache.memory import MemoryCache

__all__ = ["MemoryCache"]
