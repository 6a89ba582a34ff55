"""The runbooks as web pages, with the numbers from the settings."""
