"""A summary names operations and tables, and contains no value."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrumentation.databases.summaries import LONGEST, MOST_READ, summary


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT o.id FROM orders AS o JOIN items i ON i.order_id = o.id WHERE o.card = '4111'", "SELECT orders items"),
        ("select * from a, b as c, d", "SELECT a b d"),
        ("SELECT * FROM a LEFT OUTER JOIN (SELECT * FROM b) x ON true", "SELECT a SELECT b"),
        ("SELECT nextval('seven')", "SELECT"),
        ("SELECT EXTRACT(day FROM ordered), substring(name from 1 for 2) FROM mails", "SELECT mails"),
        ("SELECT * FROM orders FOR UPDATE OF orders SKIP LOCKED", "SELECT orders"),
        (
            "WITH new AS (SELECT * FROM a), old (x) AS (SELECT 1 FROM b) SELECT * FROM new, old, c",
            "SELECT a SELECT b SELECT c",
        ),
        ("INSERT INTO audit.entries (text) SELECT body FROM mails", "INSERT audit.entries SELECT mails"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "INSERT t"),
        ("INSERT OR IGNORE INTO t VALUES (7)", "INSERT t"),
        ('UPDATE ONLY "Orders" SET a = 1', "UPDATE Orders"),
        ("DELETE FROM a USING b WHERE a.id = b.id", "DELETE a b"),
        ("MERGE INTO stock USING arrivals ON true", "MERGE stock arrivals"),
        ("COPY t (a) FROM STDIN", "COPY t"),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", "CREATE INDEX i"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", "CREATE VIEW v SELECT"),
        ("TRUNCATE orders", "TRUNCATE orders"),
        ("select x from [dbo].[Orders]", "SELECT dbo.Orders"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN"),
        ("  -- by 4111\n COMMIT", "COMMIT"),
        ("", ""),
    ],
)
def test_operations_and_tables_in_their_order(statement: str, expected: str) -> None:
    assert summary(statement) == expected


@pytest.mark.parametrize(
    "value",
    [
        "'from secret'",
        "'it''s from secret'",
        r"'it\' from secret'",
        r"'C:\' || 'join secret'",
        "$$ from secret $$",
        "$of$ from secret $of$",
        '"select 1 from secret"',
        "1 -- from secret",
        "1 /* from secret */",
        "'from secret",
        "1 /* from secret",
    ],
)
def test_a_value_that_looks_like_sql_is_left_out(value: str) -> None:
    assert summary(f"DELETE FROM orders WHERE card = {value}") == "DELETE orders"  # noqa: S608 - nothing runs it


@given(st.text())
def test_a_quoted_value_is_left_out(value: str) -> None:
    quoted = value.replace("'", "''")
    assert summary(f"UPDATE orders SET card = '{quoted}'") == "UPDATE orders"  # noqa: S608 - as above


def test_a_long_summary_ends_with_a_whole_table() -> None:
    tables = [f"table_{number}" for number in range(100)]
    told = summary(f"SELECT * FROM {', '.join(tables)}")  # noqa: S608 - as above
    assert len(told) <= LONGEST
    assert told.split() == ["SELECT", *tables[: len(told.split()) - 1]]


@pytest.mark.parametrize(
    "part",
    [
        "SELECT ",
        "FROM a, ",
        "FROM a b ",
        "(",
        ") , a ",
        '"',
        "'",
        "$a$",
        "a.",
        "WITH a (",
        "EXTRACT(",
        "/*",
        "UPDATE  ",
    ],
)
def test_no_statement_takes_long(part: str) -> None:
    began = time.thread_time()
    summary(part * MOST_READ)
    assert time.thread_time() - began < 0.2
