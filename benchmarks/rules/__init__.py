"""What the rules cost a Prometheus that watches a hundred services."""
