"""Checks that rules read only series and labels that exist."""
