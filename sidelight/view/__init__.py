"""Shows dashboards, alerts and services in a browser: ``sidelight view``."""
