"""Excludes the services from collection: they import packages that only their own environments have."""

collect_ignore = ["services"]
