"""The reference pages of the documentation, generated from the code and the tests. They are made only in this repository."""
