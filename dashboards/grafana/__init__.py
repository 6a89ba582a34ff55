"""Grafana's HTTP API and publishing."""
