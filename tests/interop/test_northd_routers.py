"""Our northd and routers, in real databases: what it writes beside flows, and what Debian's trace sees."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from ovine.model import nb, sb
from ovine.northd.bfd import DOWN
from ovine.ovsdb import Transaction
from support.northd_bed import NorthdBed, northd_bed, replica, until_status
from support.ovsdb import until


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    """Router r between the switches s1 (p1) and s2 (p2), with a default route on s2."""
    with northd_bed(tmp_path_factory.mktemp("routers")) as made, made.ours() as daemon:
        until_status(daemon, "active")
        made.nbctl("lr-add", "r")
        for number in (1, 2):
            switch, port = f"s{number}", f"r-s{number}"
            made.nbctl("ls-add", switch, "--", "lsp-add", switch, f"p{number}")
            made.nbctl("lsp-set-addresses", f"p{number}", f"0a:00:00:00:00:0{number} 10.0.{number}.1")
            made.nbctl("lrp-add", "r", port, f"0a:00:00:00:0{number}:fe", f"10.0.{number}.254/24")
            made.nbctl("lsp-add", switch, f"{switch}-r", "--", "lsp-set-type", f"{switch}-r", "router")
            made.nbctl("lsp-set-addresses", f"{switch}-r", "router")
            made.nbctl("lsp-set-options", f"{switch}-r", f"router-port={port}")
        made.nbctl("lr-route-add", "r", "0.0.0.0/0", "10.0.2.9")
        made.sync()
        assert daemon.failures() == []
        yield made


def trace(bed: NorthdBed, destination: str) -> str:
    return bed.trace(
        "s1",
        'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:01:fe && '
        f"ip4.src == 10.0.1.1 && ip4.dst == {destination} && ip.ttl == 64",
    )


def test_debians_trace_follows_a_packet_through_the_router(bed: NorthdBed) -> None:
    text = trace(bed, "10.0.2.1")
    stages = re.findall(r"^ *\d+\. (lr_\S+)", text, re.MULTILINE)
    # It leaves out where a packet just goes on.
    assert stages == [
        *("lr_in_admit", "lr_in_route", "lr_in_ecmp", "lr_in_outport", "lr_in_resolve", "lr_in_request"),
        "lr_out_deliver",
    ]
    # The switch finds the receiver.
    assert "MAC binding to 0a:00:00:00:00:02" in text
    assert '/* output to "p2"' in text


def test_a_next_hop_that_nobody_knows_is_asked_for(bed: NorthdBed) -> None:
    text = trace(bed, "192.0.2.1")
    assert "/* No MAC binding. */" in text
    assert "arp.tpa = reg0;" in text


async def test_a_static_mac_binding_reaches_the_southbound_and_leaves_it(bed: NorthdBed) -> None:
    async with replica(bed.below, sb.DATABASE) as below:
        bed.nbctl("static-mac-binding-add", "r-s2", "10.0.2.9", "0a:00:00:00:00:99")
        bed.sync()
        await below.barrier()
        (row,) = below.replica.rows(sb.StaticMACBinding).values()
        assert (row.logical_port, row.ip, row.mac) == ("r-s2", "10.0.2.9", "0a:00:00:00:00:99")
        bed.nbctl("static-mac-binding-del", "r-s2", "10.0.2.9")
        bed.sync()
        await below.barrier()
        assert not below.replica.rows(sb.StaticMACBinding)


async def test_a_route_waits_for_its_session_and_the_northbound_is_told_its_state(bed: NorthdBed) -> None:
    bed.nbctl(
        *("--id=@b", "create", "bfd", "logical_port=r-s2", "dst_ip=10.0.2.8", "--"),
        *("--id=@r", "create", "logical_router_static_route", "ip_prefix=198.51.100.0/24", "nexthop=10.0.2.8"),
        *("bfd=@b", "--", "add", "logical_router", "r", "static_routes", "@r"),
    )
    bed.sync()
    async with replica(bed.below, sb.DATABASE) as below, replica(bed.above, nb.DATABASE) as above:
        await below.barrier()
        ((key, session),) = below.replica.rows(sb.BFD).items()
        assert (session.logical_port, session.dst_ip, session.status) == ("r-s2", "10.0.2.8", DOWN)
        assert "reg0 = 10.0.2.9;" in trace(bed, "198.51.100.1")
        up = Transaction()
        up.update(sb.BFD, key, status="up")
        await below.transact(up)
        await until(lambda: [row.status for row in above.replica.rows(nb.BFD).values()] == ["up"], "up in the NB")
        bed.sync()
        assert "reg0 = 10.0.2.8;" in trace(bed, "198.51.100.1")
        assert below.replica.rows(sb.BFD)[key].status == "up"  # what the host said is not put back


async def test_a_learned_binding_is_deleted_when_it_is_old_enough(bed: NorthdBed) -> None:
    bed.nbctl("set", "logical_router", "r", "options:mac_binding_age_threshold=2")
    bed.sync()
    async with replica(bed.below, sb.DATABASE) as below:
        datapath = next(
            uuid for uuid, row in below.replica.rows(sb.DatapathBinding).items() if "logical-router" in row.external_ids
        )
        learn = Transaction()
        now = time.time_ns() // 1_000_000
        for ip, timestamp in (("10.0.2.50", now - 60_000), ("10.0.2.51", now), ("10.0.2.52", 0)):
            learn.insert(
                sb.MACBinding(
                    logical_port="r-s2", ip=ip, mac="0a:00:00:00:00:50", timestamp=timestamp, datapath=datapath
                )
            )
        await below.transact(learn)

        def learned() -> set[str]:
            rows = below.replica.rows(sb.MACBinding).values()
            return {row.ip for row in rows if row.logical_port == "r-s2"}

        await until(lambda: learned() == {"10.0.2.52"}, "old bindings are gone")
        assert time.time_ns() // 1_000_000 >= now + 2000
