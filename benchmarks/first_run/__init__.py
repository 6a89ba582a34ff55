"""Measures what the first `make demo` on a new machine takes: time, CPU and disk."""
