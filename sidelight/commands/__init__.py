"""The commands of ``sidelight``, one module each. They turn options into calls and contain no logic."""
