"""Stores in memory: the reference model behind the store protocol, as strict as SQL."""

from tenure_memory.contents import MemoryContents
from tenure_memory.sessions import MemorySessions
from tenure_memory.store import MemoryRegistry, open_store

__all__ = ["MemoryContents", "MemoryRegistry", "MemorySessions", "open_store"]
