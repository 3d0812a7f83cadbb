"""How well can blur be undone: classical methods, the linear limit, the shipped network."""
