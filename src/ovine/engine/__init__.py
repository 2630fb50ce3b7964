"""Incremental derivation: relations, rules and queries, kept up to date by what changed. Knows no networking word."""

from ovine.engine.engine import CycleError, Delta, Engine, Failure
from ovine.engine.reader import Reader
from ovine.engine.relation import Emit, Gather, Index, Query, Relation, Rule, Sticky, query, rule

__all__ = [
    "CycleError",
    "Delta",
    "Emit",
    "Engine",
    "Failure",
    "Gather",
    "Index",
    "Query",
    "Reader",
    "Relation",
    "Rule",
    "Sticky",
    "query",
    "rule",
]
