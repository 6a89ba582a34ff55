"""One module per alert: its rules and its promtool tests."""
