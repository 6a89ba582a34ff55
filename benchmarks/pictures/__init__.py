"""Draws pictures of the dashboards with Grafana's own components in a real browser, and checks that they are readable."""
