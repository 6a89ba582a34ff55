"""The services run in environments of their own, so what they import is not here."""

collect_ignore = ["services"]
