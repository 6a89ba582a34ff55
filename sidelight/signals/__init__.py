"""What is built from a team's own signals: pages, typed handles, and a first declaration."""
