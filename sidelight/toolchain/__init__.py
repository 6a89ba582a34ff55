"""The pinned programs, and starting and stopping processes."""
