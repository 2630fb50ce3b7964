"""Commits what a writer has planned; whatever comes of it, the writer plans anew the next time.

Tests: tests/faults/test_controller_faults.py.
"""

from __future__ import annotations

import asyncio

from ovine.daemons.controller.complaints import Complaints
from ovine.ovsdb import Client, NotConnected, Transaction, TransactionError

RETRY = 1.0
"""Seconds before a refused transaction is tried again."""


async def commit(client: Client, txn: Transaction, complaints: Complaints, again: asyncio.Event) -> None:
    """Sends a plan; an empty one says that nothing is wrong any more. `again` wakes the writer after a refusal."""
    try:
        if txn:
            await client.transact(txn)
        complaints.note(client.name, "")
    except TransactionError as error:
        complaints.note(client.name, str(error), f"{client.name} refused a transaction: %s")
        await asyncio.sleep(RETRY)
        again.set()
    except NotConnected:
        return  # The client's on_state wakes the writer when the connection is back.
