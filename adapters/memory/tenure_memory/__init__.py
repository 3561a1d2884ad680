"""Stores in memory: the reference model behind the store protocol, as strict as SQL."""

from tenure_memory.store import MemoryRegistry, open_store

__all__ = ["MemoryRegistry", "open_store"]
