"""The law of stores as data: vectors for stores in any language, and the protocol that plays them."""
