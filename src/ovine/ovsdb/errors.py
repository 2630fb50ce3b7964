"""What can go wrong between us and an OVSDB server, as exceptions that a caller can tell apart.

Tests: tests/unit/ovsdb/, tests/interop/test_ovsdb_server.py.
"""

from __future__ import annotations


class OvsdbError(Exception):
    """Base of the errors of this package; its text is one line."""


class ProtocolError(OvsdbError):
    """The peer sent something that RFC 7047 does not allow. The connection cannot be used further."""


class NotConnected(OvsdbError):
    """There is no connection, or it broke before the answer came: whether the transaction happened is unknown."""


class RemoteError(OvsdbError):
    """A remote is written wrongly, or its certificates are missing."""


class TransactionError(OvsdbError):
    """The server refused a transaction; nothing of it was done.

    `kind` is the server's error name (RFC 7047, section 3.1 and the operations of 5.2): "constraint violation",
    "referential integrity violation", "timed out", "not owner", "aborted" …; "unknown column" and "unknown table"
    come from the client when the server's schema lacks what is to be written. `index` counts the transaction's
    operations from 0; None when the error belongs to the whole transaction.
    """

    def __init__(self, kind: str, details: str = "", index: int | None = None) -> None:
        self.kind, self.details, self.index = kind, details, index
        where = "" if index is None else f" (operation {index})"
        super().__init__(f"{kind}: {details}{where}" if details else f"{kind}{where}")
