"""Recording rules: the series that alerts and dashboards read."""
