"""Pictures of the dashboards, drawn by Grafana's own components in a real browser; and whether they can be read."""
