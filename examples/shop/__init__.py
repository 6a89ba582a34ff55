"""A small shop: the service that `sidelight demo` observes, and an example of how little that takes."""
