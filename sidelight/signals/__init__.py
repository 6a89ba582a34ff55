"""Files made from a team's signals: pages, typed handles, and a first declaration."""
