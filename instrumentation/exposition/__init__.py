"""The metrics page: exposition formats, and the application's own prometheus_client registry."""
