"""The command line: one thin front door over instrumentation, alerts, dashboards and collector."""
