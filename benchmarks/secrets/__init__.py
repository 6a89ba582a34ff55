"""Measures which secrets the redaction finds in gitleaks' test vectors, and which harmless texts it changes."""
