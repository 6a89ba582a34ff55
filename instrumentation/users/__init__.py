"""Active users, estimated with HyperLogLog."""
