"""Health checks and readiness."""
