"""Stores in memory: the reference model behind the store protocol, as strict as SQL."""
