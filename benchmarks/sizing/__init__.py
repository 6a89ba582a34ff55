"""Computes the size of Prometheus, or of a replacement, for a number of pods."""
