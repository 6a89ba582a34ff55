"""A small shop: the example service, which `sidelight demo` runs."""
