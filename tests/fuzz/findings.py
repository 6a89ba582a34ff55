"""Inputs that once broke the promise of a target. Add each that the fuzzer finds, under what is special about it."""

FINDINGS: dict[str, dict[str, bytes]] = {
    "promql": {"a regular expression that is not valid Unicode": b'x{a=~"\xd6"}'},
    "objectives": {
        "a number in JSON that begins with 0": b'[{"apiVersion": "openslo/v1", "kind": "SLO", "spec": 000}]'
    },
    "checked_file": {
        "a number in JSON that begins with 0": b'{"groups": 000}',
        "a digit in JSON that is not ASCII": '{"groups": \u0663}'.encode(),
        "a number in JSON with 5,000 digits": b'{"groups": ' + b"7" * 5000 + b"}",
    },
    "retry_after": {"a minute that does not fit into a C long": b"2 Jan 1 033333333333333333333333333333333333:7 GMT"},
    "traced_request": {
        "half an escape sequence": b"a=1\n\xff\\",
        "a query that is not UTF-8": b"a=\xff\\",
    },
}
"""Inputs by what they contain, by target."""
