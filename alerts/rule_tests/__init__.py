"""Promtool unit tests as data, and the generators of threshold and saturation tests."""
