"""Inputs that once broke the promise of a target. Add each that the fuzzer finds, under what is special about it."""

FINDINGS: dict[str, dict[str, bytes]] = {
    "promql": {"a regular expression that is not valid Unicode": b'x{a=~"\xd6"}'},
    "retry_after": {"a minute that does not fit into a C long": b"2 Jan 1 033333333333333333333333333333333333:7 GMT"},
    "traced_request": {
        "half an escape sequence": b"a=1\n\xff\\",
        "a query that is not UTF-8": b"a=\xff\\",
    },
}
"""Inputs by what they contain, by target."""
