"""What instrumentation costs: Sidelight and its peers side by side, in one run."""
