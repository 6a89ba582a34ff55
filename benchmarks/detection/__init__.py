"""Measures time to detect, time to resolve and false positives of the alerts."""
