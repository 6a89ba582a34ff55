"""Measures the overhead of instrumentation: Sidelight and other libraries side by side, in one run."""
