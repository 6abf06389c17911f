"""What frozen networks said about a view, kept so that they are asked once."""

from kivfm_core.cache.memory import MemoryCache, as_stored

__all__ = ["MemoryCache", "as_stored"]
