"""What the controller writes into the southbound database: its chassis, its claims, its progress, what packets taught.

Plans have no memory (`ovine.controller.southbound`). What needs some is kept here: whether name and addresses are ours
(`Identity`), which ports are contested (`Contests`), and which claims are *fresh*, that is, may be written although
other things are not settled.

Tests: tests/interop/controller/test_controller_daemon.py, tests/faults/test_controller_hosts.py.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ovine.controller import southbound as plans
from ovine.controller.chassis import PRESENCE
from ovine.controller.contests import Contests
from ovine.controller.identity import Identity
from ovine.controller.local import CLAIMS
from ovine.daemons.controller.commit import commit
from ovine.daemons.controller.complaints import Complaints
from ovine.daemons.controller.computation import Computation
from ovine.daemons.controller.moments import Moments
from ovine.daemons.controller.southbound import Southbound
from ovine.daemons.controller.wakes import Wakes
from ovine.model.base import Uuid
from ovine.ovsdb import Client, NotConnected, Replica, Transaction, TransactionError


class Registrar:
    """The writer of the southbound."""

    def __init__(
        self,
        southbound: Southbound,
        computation: Computation,
        moments: Moments,
        contests: Contests,
        learned: Callable[[Transaction, Replica], None],
        complaints: Complaints,
        wakes: Wakes,
        log: logging.Logger,
    ) -> None:
        """`learned` adds to a transaction what packets taught, once."""
        self._southbound = southbound
        self._computation = computation
        self._moments = moments
        self._contests = contests
        self._identity = Identity()
        self._learned = learned
        self._complaints = complaints
        self._wakes = wakes
        self._due = wakes.southbound
        self._log = log
        self._fresh: dict[Uuid, None] = {}

    def renamed(self, before: str, now: str) -> None:
        """The settings give this host another name."""
        self._log.warning("system-id changed from %s to %s: the chassis is renamed", before, now)
        self._identity.renamed(before)

    async def claim_first(self) -> None:
        """Has new claims written before anything else is computed: whoever waits for the port can go on meanwhile.

        Only of ports that have an interface here, which is all that has to be known of them. Who is active in a group
        may follow from rows that are still to come, and what is not claimed may only not be known yet.
        """
        changes = await self._computation.settle_first(CLAIMS)
        if changes:
            self._due.stale = self._wakes.local.stale = True
        fresh = {delta.key: None for delta in changes if delta.new is not None and delta.new.interface is not None}
        if fresh and self._moments.ever_settled:
            self._fresh.update(fresh)
            await self.write_now()

    async def write_now(self) -> None:
        """Returns when what is to be written is on its way: it is short, and goes before flows are encoded."""
        self._due.event.set()
        await asyncio.sleep(0)  # the writer plans and sends,
        await asyncio.sleep(0)  # and the loop passes the bytes on

    async def write(self) -> None:
        """Waits until there is something to look at, and writes what differs."""
        await self._due.event.wait()
        self._due.event.clear()
        fresh, self._fresh = self._fresh, {}
        self._due.stale = not self._moments.settled
        client = self._southbound.client
        if client is None or not client.connected or not (self._moments.settled or fresh):
            return
        txn = self._planned(client, fresh)
        if txn is not None:
            await commit(client, txn, self._complaints, self._due.event)
            await self._send_learned(client)

    def _planned(self, client: Client, fresh: dict[Uuid, None]) -> Transaction | None:
        """All that differs, or the bindings of fresh claims while not all is known; None if nothing may be written."""
        rows, now = self._computation.engine.rows, time.monotonic()
        presence = rows(PRESENCE).get(())
        if presence is None:
            return None
        may, complaints = self._identity.settle(client.replica, presence, now)
        self._complaints.note("chassis", "; ".join(complaints))
        if may is None:
            return None
        claims, again = self._contests.undisputed(rows(CLAIMS), now)
        if again is not None:
            asyncio.get_running_loop().call_later(again, self._due.event.set)
        if self._moments.settled:
            former = self._identity.former(client.replica, may.name)
            return plans.plan(client.replica, may, claims, self._moments.progress, former)
        some = {uuid: claims[uuid] for uuid in fresh if uuid in claims}
        return plans.plan_bindings(client.replica, may.name, some, self._moments.progress)

    async def _send_learned(self, client: Client) -> None:
        """Writes what packets taught, apart from all else: another host may have learned the same at the same time.

        Such a transaction is refused and not repeated; the other's row has come by then, or the next packet teaches.
        """
        txn = Transaction()
        self._learned(txn, client.replica)
        try:
            if txn:
                await client.transact(txn)
        except (TransactionError, NotConnected) as error:
            self._log.info("what was learned is not written: %s", error)

    async def leave(self, chassis: str) -> None:
        """Takes our rows back, if they are ours. OvsdbError or TimeoutError if that does not succeed."""
        client = self._southbound.client
        if client is not None and client.connected and not self._identity.given_way:
            txn = plans.leave(client.replica, chassis)
            if txn:
                await client.transact(txn, timeout=2.0)
