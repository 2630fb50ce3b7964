"""Security groups in a real northbound database: what one port more costs, and what another program has made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ovine.engine import Engine
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.ovsdb import Client, Transaction
from ovine.plugin import NORTHBOUND, RULES
from ovine.plugin.security import DROP_GROUP
from ovine.projection import Projection
from support.ovsdb import connected, start_server

NET = Uuid("11111111-0000-4000-8000-000000000001")
GROUP = Uuid("66666666-0000-4000-8000-000000000001")
RULE = Uuid("77777777-0000-4000-8000-000000000001")
PG = "pg_66666666_0000_4000_8000_000000000001"


def uuid(number: int) -> Uuid:
    return Uuid(f"33333333-0000-4000-8000-{number:012d}")


class Bed:
    """The plugin's rules, a northbound database, and the projection between them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.engine = Engine(RULES, watch=[target.relation for target in NORTHBOUND])
        self.projection = Projection(self.engine, client.replica, NORTHBOUND)
        client.subscribe(self.projection.note)
        self.engine.feed(cloud.Network, NET, cloud.Network(uuid=NET, mtu=1442))
        self.engine.feed(cloud.SecurityGroup, GROUP, cloud.SecurityGroup(uuid=GROUP))
        rule = cloud.SecurityGroupRule(uuid=RULE, security_group=GROUP, remote_group=GROUP)
        self.engine.feed(cloud.SecurityGroupRule, RULE, rule)

    def port(self, number: int) -> None:
        mac = f"fa:16:3e:00:00:{number:02x}"
        row = cloud.Port(uuid=uuid(number), network=NET, mac_address=mac, security_groups=(GROUP,))
        self.engine.feed(cloud.Port, row.uuid, row)

    async def settle(self) -> list[dict[str, Any]]:
        """Writes until nothing is left to write; returns the operations."""
        sent = []
        self.engine.run()
        while transaction := self.projection.plan():
            sent += transaction.operations
            await self.client.transact(transaction)
        assert self.engine.failures() == []
        return sent


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    with start_server(nb.DATABASE, tmp_path) as server:
        async with connected(nb.DATABASE, server.remote) as client:
            yield Bed(client)


async def test_one_port_more_or_less_is_one_member_more_or_less_and_no_acl(bed: Bed) -> None:
    for number in range(20):
        bed.port(number)
    await bed.settle()
    assert len(bed.client.replica.rows(nb.ACL)) == 3
    bed.port(20)
    assert sorted((op["op"], op["table"]) for op in await bed.settle()) == [
        ("insert", "Logical_Switch_Port"),
        ("mutate", "Logical_Switch"),
        ("mutate", "Port_Group"),
        ("mutate", "Port_Group"),
    ]
    bed.engine.feed(cloud.Port, uuid(20), None)
    sent = await bed.settle()
    members = [mutation[2] for op in sent if op["op"] == "mutate" for mutation in op["mutations"]]
    assert len(members) == 3
    assert all(len(value[1]) == 1 if value[0] == "set" else value[0] == "uuid" for value in members)
    groups = bed.client.replica.index(nb.PortGroup, "name")
    assert all(len(group.ports) == 20 for group in (*groups.find(PG), *groups.find(DROP_GROUP)))


async def test_the_rows_of_an_ml2_ovn_northbound_are_taken_over_as_they_are(bed: Bed) -> None:
    transaction = Transaction()
    marks = Map({"neutron:security_group_rule_id": RULE})
    allow = transaction.insert(
        nb.ACL(
            priority=1002,
            direction="to-lport",
            match=f"outport == @{PG} && ip4 && ip4.src == ${PG}_ip4",
            action="allow-related",
            external_ids=marks,
            log=True,
            severity="info",
            name="logged",
        )
    )
    drops = [
        transaction.insert(
            nb.ACL(priority=1001, direction=direction, match=f"{port} == @{DROP_GROUP} && ip", action="drop")
        )
        for direction, port in (("from-lport", "inport"), ("to-lport", "outport"))
    ]
    foreign = transaction.insert(nb.ACL(priority=2000, direction="to-lport", match="arp", action="drop"))
    transaction.insert(nb.PortGroup(name=PG, acls=(allow,), external_ids=Map({"neutron:security_group_id": GROUP})))
    transaction.insert(nb.PortGroup(name=DROP_GROUP, acls=tuple(sorted(drops))))
    transaction.insert(nb.PortGroup(name="mine", acls=(foreign,)))
    await bed.client.transact(transaction)
    sent = await bed.settle()
    assert [(op["op"], op["table"]) for op in sent] == [("insert", "Logical_Switch")]
    assert bed.client.replica.rows(nb.ACL)[allow].log


async def test_a_group_goes_with_its_acls(bed: Bed) -> None:
    bed.port(1)
    await bed.settle()
    for table, key in ((cloud.Port, uuid(1)), (cloud.SecurityGroupRule, RULE), (cloud.SecurityGroup, GROUP)):
        bed.engine.feed(table, key, None)
    await bed.settle()
    assert [group.name for group in bed.client.replica.rows(nb.PortGroup).values()] == [DROP_GROUP]
    assert len(bed.client.replica.rows(nb.ACL)) == 2
