"""How large a collector is that holds what its settings name and nothing else, and how soon it is ready."""
