"""Summaries of SQL statements: operations and tables, never values.

They follow OpenTelemetry's ``db.query.summary`` (semantic conventions, "Generating a summary of the query"): in the order of
the statement, each operation and the tables that it reads or writes.
"""

from __future__ import annotations

import re

LONGEST = 100
"""Characters of a summary, which is a label. The conventions allow 255."""
MOST_READ = 4000
"""Characters of a statement that are read: an INSERT may have thousands of rows."""

# Text in ' or $$ is a value, and comments may hold values too. The rest of an unfinished one is dropped.
# In a function such as EXTRACT(day FROM ordered), FROM names no table.
_VALUES = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*(?:'|\Z)|\$(\w*)\$.*?(?:\$\1\$|\Z)"
    r"|\b(?:EXTRACT|OVERLAY|SUBSTRING|TRIM)\s*\([^()']*\)",
    re.DOTALL | re.IGNORECASE,
)
_ESCAPED = "\\'"  # ends a string in PostgreSQL and does not in MySQL, so what follows may be a value
_PART = r"(?:\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|[^\W\d][\w$]*)"
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = rf"{_NAME}(?:\s+(?:AS\s+)?{_PART})?"
_TARGETS = re.compile(
    rf"""\b(?P<create>CREATE|ALTER|DROP|TRUNCATE)(?:\s+(?:OR\s+REPLACE|UNIQUE|TEMP(?:ORARY)?|MATERIALIZED))*
           (?:\s+(?P<kind>TABLE|INDEX|VIEW|SCHEMA|DATABASE|SEQUENCE|TYPE|FUNCTION))?
           (?:\s+CONCURRENTLY)?(?:\s+IF(?:\s+NOT)?\s+EXISTS)?\s+(?P<created>{_NAME})
       |\b(?P<write>INSERT|REPLACE|MERGE|DELETE|UPDATE|CALL|EXECUTE|COPY)\b
           (?:\s+(?:OR\s+\w+|IGNORE|LOW_PRIORITY))?(?:\s+(?:INTO|FROM|ONLY))*\s+(?P<written>{_NAME})
       |\b(?P<select>SELECT)\b
       |\b(?:FROM|JOIN|USING)\s+(?:(?:ONLY|LATERAL)\s+)?(?P<read>{_TABLE}(?:\s*,\s*{_TABLE})*)
       |(?:\bWITH\s+(?:RECURSIVE\s+)?|\)\s*,\s*)(?P<query>{_NAME})\s*(?:\([^()]*\)\s*)?AS\s+(?:(?:NOT\s+)?MATERIALIZED\s+)?\(
       |"[^"]*"|`[^`]*`""",  # in MySQL, "..." may be a value; an operation within it does not count
    re.IGNORECASE | re.VERBOSE,
)
_FIRST = re.compile(r"[^\W\d_]\w*")
# ON CONFLICT DO UPDATE SET, FOR UPDATE OF, COPY ... FROM STDIN
_NO_TABLES = frozenset(("set", "select", "of", "nothing", "nowait", "skip", "where", "stdin", "stdout", "program"))


def summary(statement: str) -> str:
    """The summary of a statement.

    >>> summary("SELECT o.id FROM orders AS o JOIN items i ON i.order_id = o.id WHERE o.card = '4111-1111'")
    'SELECT orders items'
    >>> summary("insert into audit.entries (text) select body from mails -- for 4111")
    'INSERT audit.entries SELECT mails'
    >>> summary("WITH recent AS (SELECT * FROM orders) SELECT * FROM recent"), summary("COMMIT"), summary("")
    ('SELECT orders SELECT', 'COMMIT', '')
    """
    text = _VALUES.sub(" ", statement[:MOST_READ].partition(_ESCAPED)[0])
    words: list[str] = []
    queries = set(_NO_TABLES)  # and names that WITH defines
    for found in _TARGETS.finditer(text):
        words += _words(found, queries)
    if not words:
        first = _FIRST.search(text)
        return first.group().upper()[:LONGEST] if first else ""
    return _shortened(words)


def _words(found: re.Match[str], queries: set[str]) -> list[str]:
    groups = found.groupdict()
    if groups["query"]:
        queries.add(groups["query"].casefold())
        return []
    if groups["create"]:
        return [word.upper() for word in (groups["create"], groups["kind"]) if word] + [_plain(groups["created"])]
    if groups["select"]:
        return ["SELECT"]
    if groups["write"]:
        table = groups["written"]
        return [] if table.casefold() in _NO_TABLES else [groups["write"].upper(), _plain(table)]
    if not groups["read"]:
        return []
    tables = [re.match(_NAME, each.strip()) for each in groups["read"].split(",")]
    return [_plain(table.group()) for table in tables if table and table.group().casefold() not in queries]


def _plain(name: str) -> str:
    return re.sub(r"[\"`\[\]]|\s(?=\.)|(?<=\.)\s", "", name)


def _shortened(words: list[str]) -> str:
    """As many whole words as fit."""
    text = words[0][:LONGEST]
    for word in words[1:]:
        if len(text) + 1 + len(word) > LONGEST:
            break
        text += f" {word}"
    return text
