"""How large a Prometheus, or what stands in its place, must be for so many pods."""
