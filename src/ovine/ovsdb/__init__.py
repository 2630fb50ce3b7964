"""OVSDB client: a typed replica in memory, transactions, locks (RFC 7047, ovsdb-server(7)). See docs/ovsdb.md."""

from ovine.ovsdb.client import Client
from ovine.ovsdb.conditions import Condition, Where
from ovine.ovsdb.errors import NotConnected, OvsdbError, ProtocolError, RemoteError, TransactionError
from ovine.ovsdb.plan import Missing, Monitor
from ovine.ovsdb.remotes import Remote, Tls, parse_remotes
from ovine.ovsdb.replica import Batch, Change, Index, Replica
from ovine.ovsdb.transaction import Outcome, Transaction

__all__ = [
    "Batch",
    "Change",
    "Client",
    "Condition",
    "Index",
    "Missing",
    "Monitor",
    "NotConnected",
    "Outcome",
    "OvsdbError",
    "ProtocolError",
    "Remote",
    "RemoteError",
    "Replica",
    "Tls",
    "Transaction",
    "TransactionError",
    "Where",
    "parse_remotes",
]
