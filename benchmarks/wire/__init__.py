"""Whether each request is counted as its client received it, on real servers, at any number of requests."""
