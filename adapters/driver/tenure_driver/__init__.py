"""The only place with clocks, threads and randomness: it drives the machines and opens stores by URL."""
