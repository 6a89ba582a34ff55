"""Measurements that anyone can run; figures in documents come from here."""
