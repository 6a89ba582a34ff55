"""Runs the soak test from the command line."""
