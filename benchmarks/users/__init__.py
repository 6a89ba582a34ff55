"""Measures accuracy and cost of active users, with a real Prometheus and histories of whole fleets."""
