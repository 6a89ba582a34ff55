"""Measures the size and start-up time of a collector with only the components that the settings need."""
