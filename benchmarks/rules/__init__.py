"""Measures what the rules cost a Prometheus with a hundred services."""
