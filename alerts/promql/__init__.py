"""PromQL: reads an expression into a tree with positions, checks its types, and writes it in one format."""

from alerts.promql.formatting import formatted
from alerts.promql.parser import parse
from alerts.promql.tree import (
    Aggregation,
    BinaryOperation,
    Call,
    Matching,
    MatrixSelector,
    Node,
    NumberLiteral,
    Parentheses,
    PromqlError,
    StringLiteral,
    Subquery,
    Type,
    UnaryOperation,
    Variable,
    VectorSelector,
    bare,
    nodes,
)

__all__ = [
    "Aggregation",
    "BinaryOperation",
    "Call",
    "Matching",
    "MatrixSelector",
    "Node",
    "NumberLiteral",
    "Parentheses",
    "PromqlError",
    "StringLiteral",
    "Subquery",
    "Type",
    "UnaryOperation",
    "Variable",
    "VectorSelector",
    "bare",
    "formatted",
    "nodes",
    "parse",
]
