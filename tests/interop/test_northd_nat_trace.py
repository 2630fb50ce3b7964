"""Debian's ovn-trace walks packets through the NAT that our northd wrote: both sides of a translation, and hairpins.

ovn-trace takes every port to be on its host, and every connection to be new, unless it is told otherwise. On gateway
routers it ends at `ct_snat;`, as it does with the flows of Debian's northd; so that one translates destinations alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support.northd_bed import NorthdBed, northd_bed, until_status

OUTSIDE = "0a:00:00:00:00:99"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    """Switches s1 and public with router r1 and a gateway port; a and b have floating addresses, c shares the router's.
    The floating address of b is on the spot. Gateway router gr leads from public to s2."""
    with northd_bed(tmp_path_factory.mktemp("nat")) as made, made.ours() as daemon:
        until_status(daemon, "active")
        for switch in ("s1", "public", "s2"):
            made.nbctl("ls-add", switch)
        for number, name in enumerate("abc", start=1):
            addresses = f"0a:00:00:00:00:0{number} 10.0.0.{number}"
            made.nbctl("lsp-add", "s1", name, "--", "lsp-set-addresses", name, addresses)
        made.nbctl("lsp-add", "s2", "d", "--", "lsp-set-addresses", "d", "0a:00:00:00:00:04 10.2.0.4")
        made.nbctl("lsp-add", "public", "x", "--", "lsp-set-addresses", "x", f"{OUTSIDE} 172.16.0.9")
        made.nbctl("lr-add", "r1", "--", "lr-add", "gr", "--", "set", "logical_router", "gr", "options:chassis=gw")
        for router, switch, mac, network in (
            ("r1", "s1", "0a:00:00:00:ff:01", "10.0.0.254/24"),
            ("r1", "public", "0a:00:00:00:ff:02", "172.16.0.100/24"),
            ("gr", "s2", "0a:00:00:00:fe:01", "10.2.0.254/24"),
            ("gr", "public", "0a:00:00:00:fe:02", "172.16.0.200/24"),
        ):
            made.join(router, switch, mac, network)
        made.nbctl("lrp-set-gateway-chassis", "r1-public", "gw", "20")
        made.nbctl("lr-nat-add", "r1", "snat", "172.16.0.100", "10.0.0.0/24")
        made.nbctl("lr-nat-add", "r1", "dnat_and_snat", "172.16.0.101", "10.0.0.1")
        made.nbctl("lr-nat-add", "r1", "dnat_and_snat", "172.16.0.102", "10.0.0.2", "b", "0a:00:00:00:aa:02")
        made.nbctl("lr-nat-add", "gr", "dnat", "172.16.0.104", "10.2.0.4")
        made.nbctl("lr-nat-add", "gr", "snat", "172.16.0.200", "10.2.0.0/24")
        made.sync()
        assert daemon.failures() == []
        yield made


def packet(inport: str, source: tuple[str, str], destination: tuple[str, str]) -> str:
    return (
        f'inport == "{inport}" && eth.src == {source[0]} && eth.dst == {destination[0]} && ip4.src == {source[1]} && '
        f"ip4.dst == {destination[1]} && ip.ttl == 64 && udp.src == 1 && udp.dst == 2"
    )


def delivered(text: str) -> list[tuple[str, str]]:
    """Where a packet was delivered, with the last addresses that a translation or rewriting gave it."""
    return re.findall(r'/\* output to "([^"]+)", type "([^"]*)"', text)


def test_a_floating_address_is_translated_on_the_way_in(bed: NorthdBed) -> None:
    text = bed.trace("public", packet("x", (OUTSIDE, "172.16.0.9"), ("0a:00:00:00:ff:02", "172.16.0.101")))
    assert "ct_dnat(10.0.0.1)" in text
    assert delivered(text)[-1] == ("a", "")


def test_and_on_the_way_out(bed: NorthdBed) -> None:
    text = bed.trace("s1", packet("a", ("0a:00:00:00:00:01", "10.0.0.1"), ("0a:00:00:00:ff:01", "172.16.0.9")))
    assert "ct_snat(172.16.0.101)" in text
    assert delivered(text)[-1] == ("x", "")


def test_an_instance_without_one_leaves_with_the_address_of_the_router(bed: NorthdBed) -> None:
    text = bed.trace("s1", packet("c", ("0a:00:00:00:00:03", "10.0.0.3"), ("0a:00:00:00:ff:01", "172.16.0.9")))
    assert "ct_snat(172.16.0.100)" in text and "ct_dnat" not in text
    assert delivered(text)[-1] == ("x", "")


def test_a_rule_on_the_spot_speaks_with_its_own_ethernet_address_and_is_not_redirected(bed: NorthdBed) -> None:
    text = bed.trace("s1", packet("b", ("0a:00:00:00:00:02", "10.0.0.2"), ("0a:00:00:00:ff:01", "172.16.0.9")))
    assert "eth.src = 0a:00:00:00:aa:02" in text and "ct_snat(172.16.0.102)" in text
    assert "cr-r1-public" not in re.sub(r"is_chassis_resident\([^)]*\)", "", text)
    back = bed.trace("public", packet("x", (OUTSIDE, "172.16.0.9"), ("0a:00:00:00:aa:02", "172.16.0.102")))
    assert delivered(back)[-1] == ("b", "")


def test_instances_reach_each_other_at_floating_addresses_and_see_those(bed: NorthdBed) -> None:
    text = bed.trace("s1", packet("c", ("0a:00:00:00:00:03", "10.0.0.3"), ("0a:00:00:00:ff:01", "172.16.0.101")))
    assert text.index("ct_snat(172.16.0.100)") < text.index("lr_out_loop") < text.index("ct_dnat(10.0.0.1)")
    assert delivered(text)[-1] == ("a", "")


def test_a_gateway_router_translates_both_ways(bed: NorthdBed) -> None:
    text = bed.trace("public", packet("x", (OUTSIDE, "172.16.0.9"), ("0a:00:00:00:fe:02", "172.16.0.104")))
    assert "ct_dnat(10.2.0.4)" in text
    assert delivered(text)[-1] == ("d", "")
    back = bed.trace("s2", packet("d", ("0a:00:00:00:00:04", "10.2.0.4"), ("0a:00:00:00:fe:01", "172.16.0.9")))
    assert "ct_snat(172.16.0.200)" in back
    assert delivered(back)[-1] == ("x", "")


@pytest.mark.parametrize("address", ["172.16.0.100", "172.16.0.101", "172.16.0.102", "172.16.0.104"])
def test_requests_for_external_addresses_go_to_their_router_and_not_to_the_other(bed: NorthdBed, address: str) -> None:
    text = bed.trace(
        "public",
        f'inport == "x" && eth.src == {OUTSIDE} && eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && '
        f"arp.sha == {OUTSIDE} && arp.spa == 172.16.0.9 && arp.tpa == {address}",
    )
    other = "public-r1" if address == "172.16.0.104" else "public-gr"
    assert f'output to "{other}"' not in text
    assert delivered(text)[-1] == ("x", "")
