"""The Cloud database as the API uses it: linearizable reads from the replica, writes planned again on a race.

Every request begins at a *barrier*, after which the replica shows all that was committed before the request came, by
whichever API process. A write is then planned on the replica and sent as one transaction; if another process was
faster, a guard or index refuses it, and it is planned again on the newer state. Each refusal means that somebody
else's change went in, so together the processes always get on.

Tests: tests/api/test_api_ipam_race.py.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from ovine.api import quotas
from ovine.api.config import Config
from ovine.api.draft import Draft
from ovine.api.errors import ServiceUnavailable
from ovine.model.base import Row
from ovine.model.cloud import (
    FloatingIP,
    IPAllocation,
    Network,
    Port,
    PortBinding,
    PortForwarding,
    QoSBandwidthLimitRule,
    QoSDSCPMarkingRule,
    QoSPolicy,
    Quota,
    QuotaUsage,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
    SubPort,
    Trunk,
)
from ovine.ovsdb import Client, Replica, Transaction, TransactionError

_log = logging.getLogger("ovine.api")

T = TypeVar("T")
R = TypeVar("R", bound=Row)

RACES = frozenset({"timed out", "constraint violation", "referential integrity violation"})
"""What the server says when a guard, an index or a reference refuses a plan."""

ATTEMPTS = 50
_BACK_OFF = 0.002


class Store:
    """Reads and writes of one API process."""

    def __init__(self, client: Client, config: Config) -> None:
        self._client, self._config = client, config
        replica = client.replica
        for table, *columns in (
            (Subnet, "network"),
            (Subnet, "subnet_pool"),
            (SubnetPool, "place"),
            (Port, "network"),
            (Port, "device_id"),
            (Port, "network", "mac_address"),
            (Port, "network", "device_owner"),
            (Network, "network_type"),
            (IPAllocation, "subnet"),
            (IPAllocation, "subnet", "ip_address"),
            (FloatingIP, "router"),
            (FloatingIP, "port"),
            (FloatingIP, "floating_port"),
            (FloatingIP, "association"),
            (SecurityGroup, "project_id", "place"),
            (SecurityGroupRule, "security_group"),
            (PortForwarding, "floating_ip"),
            (PortForwarding, "port"),
            (PortForwarding, "interface"),
            (PortBinding, "port"),
            (Trunk, "port"),
            (SubPort, "port"),
            (SubPort, "trunk"),
            (QoSPolicy, "project_id"),
            (QoSBandwidthLimitRule, "policy"),
            (QoSDSCPMarkingRule, "policy"),
            (Network, "qos_policy"),
            (Port, "qos_policy"),
            (FloatingIP, "qos_policy"),
            (Quota, "project_id"),
            (Quota, "project_id", "resource"),
            (QuotaUsage, "project_id", "resource"),
            (SecurityGroupRule, "remote_group"),
            (SecurityGroupRule, "remote_address_group"),
        ):
            replica.index(table, *columns)
        replica.holders(Port, "security_groups")
        for counted in quotas.COUNTED.values():
            replica.index(counted, "project_id")

    @property
    def replica(self) -> Replica:
        return self._client.replica

    async def refresh(self) -> None:
        """Everything committed before this call is visible after it."""
        await self._client.barrier()

    async def commit(self, plan: Callable[[Draft], T]) -> T:
        """Plans a change and carries it out; when this returns, the replica shows it.

        `plan` may be called several times, each time on a newer state; what it raises is the caller's answer.
        """
        last: Exception | None = None
        for attempt in range(ATTEMPTS):
            draft = Draft(self.replica, timestamp())
            result = plan(draft)
            txn = draft.transaction()
            if not txn:
                return result
            quotas.charge(self._config, draft, self.replica, txn)
            self._check_schema(txn)
            try:
                await self._client.transact(txn)
                return result
            except TransactionError as error:
                if error.kind not in RACES:
                    raise
                _log.debug("planning again: %s", error)
                last = error
            await asyncio.sleep(random.random() * _BACK_OFF * min(attempt, 10))
            await self.refresh()
        _log.error("gave up after %d plans: %s", ATTEMPTS, last)
        raise ServiceUnavailable(reason="Too many others are changing the same resources; try again.")

    def _check_schema(self, txn: Transaction) -> None:
        """A database of an older schema has no place for what has come since."""
        missing = self.replica.missing_columns
        if not missing:
            return
        for operation in txn.operations:
            table = operation.get("table", "")
            if any((table, column) in missing for column in (None, *operation.get("row", ()))):
                raise ServiceUnavailable(reason="The database is of an older version: it has to be converted first.")


def timestamp() -> str:
    """Now, as the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
