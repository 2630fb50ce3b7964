"""A cloud with gateways and NAT changes hands between Debian's northd and ours: what hosts hold on to stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ovine.model import sb
from support.northd_bed import NorthdBed, dump, northd_bed, until_status


@pytest.fixture
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    """A router with a gateway port on two chassis, NAT of each kind, and a gateway router."""
    with northd_bed(tmp_path_factory.mktemp("gateways")) as made:
        for number, name in enumerate(("gw1", "gw2"), start=1):
            made.tool("ovn-sbctl", "chassis-add", name, "geneve", f"192.168.0.{number}")
        for switch in ("s1", "public"):
            made.nbctl("ls-add", switch)
        made.nbctl("lsp-add", "s1", "p1", "--", "lsp-set-addresses", "p1", "0a:00:00:00:00:01 10.0.0.1")
        made.nbctl("lsp-add", "public", "ln", "--", "lsp-set-type", "ln", "localnet")
        made.nbctl("lsp-set-addresses", "ln", "unknown", "--", "lsp-set-options", "ln", "network_name=phys")
        made.nbctl("lr-add", "r1", "--", "lr-add", "gr", "--", "set", "logical_router", "gr", "options:chassis=gw1")
        for router, switch, mac, network in (
            ("r1", "s1", "0a:00:00:00:ff:01", "10.0.0.254/24"),
            ("r1", "public", "0a:00:00:00:ff:02", "172.16.0.100/24"),
            ("gr", "public", "0a:00:00:00:fe:02", "172.16.0.200/24"),
        ):
            announce = ["nat-addresses=router"] if switch == "public" else []
            made.join(router, switch, mac, network, *announce)
        made.nbctl("lrp-set-gateway-chassis", "r1-public", "gw1", "20")
        made.nbctl("lrp-set-gateway-chassis", "r1-public", "gw2", "10")
        made.nbctl("lr-nat-add", "r1", "snat", "172.16.0.100", "10.0.0.0/24")
        made.nbctl("lr-nat-add", "r1", "dnat_and_snat", "172.16.0.101", "10.0.0.1", "p1", "0a:00:00:00:aa:01")
        made.nbctl("lr-nat-add", "r1", "dnat_and_snat", "172.16.0.102", "10.0.0.2")
        made.nbctl("lr-nat-add", "gr", "snat", "172.16.0.200", "10.2.0.0/24")
        yield made


Known = dict[str, tuple[object, ...]]


async def bindings(bed: NorthdBed) -> Known:
    """What identifies each port's row, and what hosts read there; announced addresses in any order."""
    rows = await dump(bed.below, sb.DATABASE)
    names = {uuid: row.name for (_, uuid), row in rows.items() if isinstance(row, sb.HAChassisGroup)}
    return {
        row.logical_port: (
            *(uuid, row.datapath, row.tunnel_key, row.type, row.options, row.mac, row.external_ids),
            names.get(row.ha_chassis_group) if row.ha_chassis_group else None,
            {tuple(sorted(entry.split(" "))) for entry in row.nat_addresses},
        )
        for (_, uuid), row in rows.items()
        if isinstance(row, sb.PortBinding) and not row.logical_port.startswith("ovine-")
    }


async def groups(bed: NorthdBed) -> dict[str, tuple[str, set[tuple[object, ...]]]]:
    rows = await dump(bed.below, sb.DATABASE)
    members = {uuid: row for (_, uuid), row in rows.items() if isinstance(row, sb.HAChassis)}
    found = {}
    for (_, uuid), row in rows.items():
        if isinstance(row, sb.HAChassisGroup):
            these = [members.pop(one) for one in row.ha_chassis]
            found[row.name] = (
                uuid,
                {(one.chassis, one.priority, one.external_ids["chassis-name"]) for one in these},
            )
    assert members == {}, "members of no group"
    return found


async def test_gateways_are_taken_over_in_place_and_handed_back(bed: NorthdBed) -> None:
    with bed.debians("first"):
        bed.sync()
        before, grouped = await bindings(bed), await groups(bed)
    with bed.ours() as daemon:
        until_status(daemon, "active")
        bed.sync()
        assert await bindings(bed) == before
        assert await groups(bed) == grouped
        assert daemon.failures() == []
    with bed.debians("second"):
        bed.sync()
        assert await bindings(bed) == before
        assert {name: row[1] for name, row in (await groups(bed)).items()} == {n: row[1] for n, row in grouped.items()}


async def test_what_gateways_leave_behind_is_removed(bed: NorthdBed) -> None:
    with bed.debians():
        bed.sync()
    with bed.ours() as daemon:
        until_status(daemon, "active")
        bed.nbctl("--wait=sb", "lr-del", "r1", "--", "lr-del", "gr")
        rows = await dump(bed.below, sb.DATABASE)
        assert not {sb.HAChassis, sb.HAChassisGroup, sb.GatewayChassis} & {table for table, _ in rows}
        names = {row.logical_port for row in rows.values() if isinstance(row, sb.PortBinding)}
        assert {name for name in names if name.startswith(("r1-", "gr-", "cr-"))} == set()
        assert daemon.failures() == []
