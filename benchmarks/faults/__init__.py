"""Measures what is lost, and who is notified, when a component between a service and the trace backend fails."""
