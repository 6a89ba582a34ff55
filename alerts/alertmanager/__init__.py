"""The Alertmanager configuration and its message templates."""
